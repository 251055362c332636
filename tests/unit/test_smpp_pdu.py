"""SMPP as bytes: what is read leniently, and what is written by the letter."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import DeliveryState
from channels.smpp_pdu import (
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    TLV,
    Delivery,
    concatenated,
    delivery,
    message_id,
    receipt,
    validity,
)

DELIVERED, UNDELIVERED = DeliveryState.DELIVERED, DeliveryState.UNDELIVERED
PENDING, UNKNOWN = DeliveryState.PENDING, DeliveryState.UNKNOWN


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id:A1 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:Hi",
         ("A1", DELIVERED)),
        # Seconds in the dates, an error in hexadecimal, another order: all of them happen.
        ("id:A1 sub:001 dlvrd:000 submit date:260301120000 done date:260301120100 stat:UNDELIV err:0x1F",
         ("A1", UNDELIVERED)),
        ("stat:EXPIRED id:77-b", ("77-b", UNDELIVERED)),
        ("ID:5 STAT:rejectd", ("5", UNDELIVERED)),
        ("id:5 stat:ACCEPTD", ("5", PENDING)),
        ("id:5 stat:ENROUTE", ("5", PENDING)),
        ("id:5 stat:SKIPPED", ("5", UNKNOWN)),
        ("id:5", ("5", UNKNOWN)),
        ("stat:DELIVRD", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_receipt_is_read_from_its_customary_text(
    text: str, found: tuple[str, DeliveryState] | None
) -> None:
    """Only the id and the state matter; whatever else a text says, or says oddly, is left alone."""
    assert receipt(Delivery(0x04, text, {})) == found


@pytest.mark.parametrize(
    ("number", "state"), [(2, DELIVERED), (1, PENDING), (5, UNDELIVERED), (8, UNDELIVERED), (99, UNKNOWN)]
)
def test_the_parameters_of_a_receipt_win_over_its_text(number: int, state: DeliveryState) -> None:
    """`receipted_message_id` and `message_state` are the protocol's own; an unknown state leaves the text."""
    tlvs = {RECEIPTED_MESSAGE_ID: b"B2\0", MESSAGE_STATE: bytes((number,))}
    assert receipt(Delivery(0x04, "id:A1 stat:SKIPPED", tlvs)) == ("B2", state)


def test_a_delivery_is_taken_apart_with_parameters_that_nobody_knows() -> None:
    """A vendor's TLV is passed over; a text may travel as `message_payload`."""
    head = b"CMT\0" + b"\1\1886912345678\0" + b"\5\0SHOP\0" + b"\4\0\0" + b"\0\0" + b"\0\0\0\0"
    vendor = TLV.pack(0x1400, 3) + b"abc"
    told = delivery(head + b"\5id:A1" + vendor)
    assert (told.text, told.receipt, told.tlvs) == ("id:A1", True, {0x1400: b"abc"})
    payload = TLV.pack(MESSAGE_PAYLOAD, 5) + b"id:A2"
    assert delivery(head + b"\0" + vendor + payload).text == "id:A2"


@pytest.mark.parametrize(
    ("esm_class", "coding", "content", "said"),
    [
        (0, 0, b"STOP", "STOP"),
        (0, 0, bytes((0x41, 0x1F, 0x1B, 0x65, 0x1B, 0x7E, 0xFF)), "AÉ€ü"),
        (0, 3, "Arrêt".encode("latin-1"), "Arrêt"),
        (0, 8, "退訂".encode("utf-16-be"), "退訂"),
        (0x40, 8, bytes((5, 0, 3, 7, 2, 1)) + "退訂".encode("utf-16-be"), "退訂"),
        (0x40, 0, b"\xff", ""),
        (0, 8, b"\x00", "\ufffd"),
        (0, 0, b"", ""),
    ],
)
def test_an_sms_from_a_phone_is_read_by_its_coding(
    esm_class: int, coding: int, content: bytes, said: str
) -> None:
    """In the default alphabet, Latin-1 or UCS-2, and without the header of a piece."""
    head = b"\0" + b"\1\1886912345678\0" + b"\1\1886900000001\0"
    body = head + bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, coding, 0, len(content))) + content
    told = delivery(body)
    assert (told.source, told.destination, told.receipt) == ("886912345678", "886900000001", False)
    assert told.said == said


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_saying_so(body: bytes) -> None:
    """A body is read or refused; nothing else happens to a bind."""
    try:
        told = delivery(body)
        assert isinstance(told.said, str)
        receipt(told)
    except ValueError as error:
        assert "too soon" in str(error)  # noqa: PT017
    assert "\0" not in message_id(body)


@pytest.mark.parametrize(
    ("period", "written"),
    [
        (None, ""),
        (timedelta(seconds=1), "000000000100000R"),
        (timedelta(hours=26, minutes=3, seconds=9), "000001020309000R"),
        (timedelta(days=400), "000030000000000R"),
    ],
)
def test_a_validity_period_is_written_relative_to_now(period: timedelta | None, written: str) -> None:
    """Sixteen characters, from one minute to thirty days."""
    assert validity(period) == written


def test_pieces_carry_the_header_that_joins_them() -> None:
    """One reference, how many there are, and which this is."""
    assert concatenated([b"a", b"b"], 7) == [b"\5\0\3\7\2\1a", b"\5\0\3\7\2\2b"]
