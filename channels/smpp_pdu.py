"""SMPP 3.4 on the wire: the few PDUs that a sender of SMS says and hears. Pure.

Read as leniently as the protocol allows: an unknown command, status, TLV or word in a receipt is no error,
for a bind that dies of one receipt dies of it again each time the SMSC repeats it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from struct import Struct

from channels.base import DeliveryState
from channels.sms_text import from_septets

HEADER = Struct("!IIII")
TLV = Struct("!HH")
VERSION = 0x34
LONGEST_PDU = 128 * 1024

UDH_INDICATOR = 0x40
RECEIPT = 0x04 | 0x20
"""In esm_class: the SMSC's receipt, or its word while it is still trying."""

UCS2 = 0x08
LATIN = frozenset({0x01, 0x03})
"""In data_coding: ASCII and Latin-1. What is neither of these is taken to be GSM-7, as what is sent is."""

RECEIPTED_MESSAGE_ID = 0x001E
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

LONGEST_VALIDITY = timedelta(days=30)


class Command(IntEnum):
    """The commands that are used here; an answer is its request with RESPONSE."""

    GENERIC_NACK = 0x80000000
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER = 0x00000009
    ENQUIRE_LINK = 0x00000015


RESPONSE = 0x80000000


class Status(IntEnum):
    """The statuses that mean something of their own here."""

    OK = 0x00
    INVALID_LENGTH = 0x01
    INVALID_COMMAND = 0x03
    SYSTEM_ERROR = 0x08
    INVALID_DESTINATION = 0x0B
    BIND_FAILED = 0x0D
    INVALID_PASSWORD = 0x0E
    INVALID_SYSTEM_ID = 0x0F
    QUEUE_FULL = 0x14
    THROTTLED = 0x58
    TEMPORARY_APP_ERROR = 0x64


@dataclass(frozen=True)
class Pdu:
    """One unit of the protocol. `command` and `status` are plain numbers: the other side may use its own."""

    command: int
    sequence: int
    status: int = 0
    body: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        return HEADER.pack(HEADER.size + len(self.body), self.command, self.status, self.sequence) + self.body

    def answer(self, status: int = 0, body: bytes = b"") -> "Pdu":
        return Pdu(self.command | RESPONSE, self.sequence, status, body)


@dataclass(frozen=True)
class Address:
    """An address with its type of number and numbering plan."""

    number: str
    ton: int = 1
    npi: int = 1

    def encode(self) -> bytes:
        return bytes((self.ton, self.npi)) + _text(self.number)


@dataclass(frozen=True)
class Submission:
    """One `submit_sm`."""

    source: Address
    destination: Address
    content: bytes
    data_coding: int = 0
    udh: bool = False
    payload: bool = False
    """The content goes as `message_payload`, which has no limit of 254 bytes."""
    receipt: bool = False
    valid_for: timedelta | None = None
    service_type: str = ""

    def encode(self) -> bytes:
        inside = b"" if self.payload else self.content
        return b"".join((
            _text(self.service_type),
            self.source.encode(),
            self.destination.encode(),
            bytes((UDH_INDICATOR if self.udh else 0, 0, 0)),
            _text(""),
            _text(validity(self.valid_for)),
            bytes((1 if self.receipt else 0, 0, self.data_coding, 0, len(inside))),
            inside,
            TLV.pack(MESSAGE_PAYLOAD, len(self.content)) + self.content if self.payload else b"",
        ))  # fmt: skip


@dataclass(frozen=True)
class Delivery:
    """One `deliver_sm`: a receipt, or an SMS from a phone. `text` is that of a receipt, which is ASCII."""

    esm_class: int
    text: str
    tlvs: Mapping[int, bytes]
    source: str = ""
    destination: str = ""
    data_coding: int = 0

    @property
    def receipt(self) -> bool:
        return bool(self.esm_class & RECEIPT)

    @property
    def said(self) -> str:
        """The text of an SMS from a phone, by its coding and without the header of a piece."""
        content = self.text.encode("latin-1")
        if self.esm_class & UDH_INDICATOR and content:
            content = content[content[0] + 1 :]
        if self.data_coding == UCS2:
            return content.decode("utf-16-be", "replace")
        return content.decode("latin-1") if self.data_coding in LATIN else from_septets(content)


def bind(system_id: str, password: str, system_type: str) -> bytes:
    """The body of `bind_transceiver`."""
    return _text(system_id) + _text(password) + _text(system_type) + bytes((VERSION, 0, 0)) + _text("")


def message_id(body: bytes) -> str:
    """The id in the body of a `submit_sm_resp`; empty where it has none."""
    return body.split(b"\0", 1)[0].decode("latin-1")


def delivery(body: bytes) -> Delivery:
    """Read the body of a `deliver_sm`. ValueError for one that ends too soon."""
    try:
        _, at = _until_null(body, 0)
        source, at = _until_null(body, at + 2)
        destination, at = _until_null(body, at + 2)
        esm_class = body[at]
        _, at = _until_null(body, at + 3)
        _, at = _until_null(body, at)
        data_coding, length = body[at + 2], body[at + 4]
    except IndexError as error:
        raise ValueError("a deliver_sm that ends too soon") from error
    at += 5
    tlvs = dict(_tlvs(body[at + length :]))
    text = body[at : at + length] or tlvs.get(MESSAGE_PAYLOAD, b"")
    ends = source.decode("latin-1"), destination.decode("latin-1")
    return Delivery(esm_class, text.decode("latin-1"), tlvs, *ends, data_coding)


STATES = {
    "ENROUTE": DeliveryState.PENDING,
    "ACCEPTD": DeliveryState.PENDING,
    "DELIVRD": DeliveryState.DELIVERED,
    "EXPIRED": DeliveryState.UNDELIVERED,
    "DELETED": DeliveryState.UNDELIVERED,
    "UNDELIV": DeliveryState.UNDELIVERED,
    "REJECTD": DeliveryState.UNDELIVERED,
}
STATE_NUMBERS = {
    1: DeliveryState.PENDING,
    2: DeliveryState.DELIVERED,
    3: DeliveryState.UNDELIVERED,
    4: DeliveryState.UNDELIVERED,
    5: DeliveryState.UNDELIVERED,
    6: DeliveryState.PENDING,
    8: DeliveryState.UNDELIVERED,
}

ID_WORD = re.compile(r"\bid:(\S+)", re.IGNORECASE)
STATE_WORD = re.compile(r"\bstat:(\w+)", re.IGNORECASE)


def receipt(told: Delivery) -> tuple[str, DeliveryState] | None:
    """The message and its state in a receipt, by TLV or else by the customary text; None without an id."""
    by_text = ID_WORD.search(told.text)
    by_tlv = told.tlvs.get(RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1")
    name = by_tlv or (by_text[1] if by_text else "")
    if not name:
        return None
    number = told.tlvs.get(MESSAGE_STATE, b"")
    if number and number[-1] in STATE_NUMBERS:
        return name, STATE_NUMBERS[number[-1]]
    word = STATE_WORD.search(told.text)
    return name, STATES.get(word[1].upper(), DeliveryState.UNKNOWN) if word else DeliveryState.UNKNOWN


def validity(period: timedelta | None) -> str:
    """A validity period as SMPP writes one, relative to when the SMSC takes the message."""
    if period is None:
        return ""
    seconds = int(min(max(period, timedelta(minutes=1)), LONGEST_VALIDITY).total_seconds())
    days, seconds = divmod(seconds, 86_400)
    return f"0000{days:02}{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}000R"


def concatenated(pieces: list[bytes], reference: int) -> list[bytes]:
    """Each piece behind the header by which a phone puts them together again. At most 255 pieces."""
    return [
        bytes((5, 0, 3, reference, len(pieces), number)) + piece
        for number, piece in enumerate(pieces, start=1)
    ]


def _text(value: str) -> bytes:
    return value.encode("ascii").replace(b"\0", b"") + b"\0"


def _until_null(body: bytes, at: int) -> tuple[bytes, int]:
    end = body.find(b"\0", at)
    if end < 0:
        raise IndexError
    return body[at:end], end + 1


def _tlvs(rest: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(rest) >= TLV.size:
        tag, length = TLV.unpack_from(rest)
        found.append((tag, rest[TLV.size : TLV.size + length]))
        rest = rest[TLV.size + length :]
    return found
