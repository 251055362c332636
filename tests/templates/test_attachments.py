"""The files of an email: sessions for the calendar, read back, and the voucher's QR code, pixel by pixel."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import segno
from icalendar import Calendar, Event

from activities.calendar_file import calendar_files
from activities.qr import DOTS, voucher_code
from channels.base import Attachment
from models.booking_facts import (
    Accepted,
    Cancelled,
    PaymentFailed,
)
from models.merchant import PaymentMethod
from models.notices import Kind
from tests.requirements import requirement
from tests.templates.samples import (
    BARE,
    MEI,
    TOM,
    Case,
    accepted,
    after,
    case,
    full,
    handed_on,
    moved,
    placed,
    service,
)


def files(one: Case) -> Sequence[Attachment]:
    return calendar_files(one.notice, one.content, one.merchant)


def read(file: Attachment) -> tuple[Calendar, Event]:
    calendar = Calendar.from_ical(file.content)
    assert isinstance(calendar, Calendar)
    (event,) = calendar.walk("VEVENT")
    assert isinstance(event, Event)
    return calendar, event


def two() -> list[Case]:
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    state = accepted(*days)
    return [
        case(state, Kind.VOUCHER),
        case(after(state, Cancelled(event_id="", services=("s1",))), Kind.VOUCHER_CHANGED),
    ]


@requirement("WACA-15")
def test_a_session_reaches_the_calendar_at_its_instant_and_place() -> None:
    """Start and end in UTC, name, place, organizer, and the recipient as one who need not answer."""
    (file,) = files(case(accepted(), Kind.VOUCHER))
    calendar, event = read(file)
    assert file.media_type == 'text/calendar; method=REQUEST; charset="utf-8"'
    assert calendar["method"] == "REQUEST"
    assert event.decoded("dtstart") == datetime(2026, 3, 20, 6, tzinfo=UTC)
    assert event.decoded("dtend") == datetime(2026, 3, 20, 7, tzinfo=UTC)
    assert (event["summary"], event["location"]) == ("Portrait session - Lumi Studio", "Room 2")
    assert event["status"] == "CONFIRMED"
    assert event["organizer"] == "mailto:hello@lumi.example"
    assert event["attendee"] == "mailto:tom@example.com"
    assert event["attendee"].params["rsvp"] == "FALSE"
    assert b"DTSTART:20260320T060000Z" in file.content


@requirement("WACA-16")
def test_a_moved_session_is_the_same_event_with_a_higher_sequence() -> None:
    """The calendar moves the entry that it has: same UID, later time, SEQUENCE up."""
    state = accepted()
    events = [read(files(case(state, Kind.VOUCHER))[0])[1]]
    for _ in range(2):
        state = moved(state, "s1")
        events.append(read(files(case(state, Kind.VOUCHER_CHANGED))[0])[1])
    assert len({event["uid"] for event in events}) == 1
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert [event.decoded("dtstart").day for event in events] == [20, 21, 22]


@requirement("WACA-16")
def test_a_session_that_is_off_is_taken_out_of_the_calendar() -> None:
    """METHOD:CANCEL, for the event that the voucher brought, in a file of its own."""
    voucher, changed = two()
    first, second = (read(file)[1]["uid"] for file in files(voucher))
    on, off = files(changed)
    assert read(on)[1]["uid"] == second
    calendar, event = read(off)
    assert off.media_type.startswith("text/calendar; method=CANCEL")
    assert (calendar["method"], event["status"], event["uid"]) == ("CANCEL", "CANCELLED", first)
    assert event["sequence"] == 1
    assert event["attendee"] == "mailto:tom@example.com"


def test_a_failed_order_takes_its_sessions_back() -> None:
    """Whoever held a voucher of it loses the entry."""
    card = after(placed(by=PaymentMethod.CARD), *_accept_all())
    failed = after(card, PaymentFailed(event_id=""))
    (file,) = files(case(failed, Kind.VOUCHER_CHANGED))
    assert read(file)[0]["method"] == "CANCEL"


def _accept_all() -> tuple[Accepted, ...]:
    return (Accepted(event_id=""),)


def test_each_file_holds_one_event() -> None:
    """RFC 5546 wants one UID in a request, and some programs take only the first event of a file."""
    voucher, changed = two()
    assert [file.filename for file in files(voucher)] == ["session-1.ics", "session-2.ics"]
    assert [file.filename for file in files(changed)] == ["session-1.ics", "cancelled-2.ics"]
    assert all(len(Calendar.from_ical(file.content).walk("VEVENT")) == 1 for file in files(voucher))


@requirement("WACA-09")
def test_a_place_that_changes_hands_leaves_one_calendar_and_enters_the_other() -> None:
    """Each person has an entry of their own, so that one who shares a mailbox does not lose the other's."""
    state = handed_on(accepted(), "s1", TOM, MEI)
    calendar, gained = read(files(case(state, Kind.VOUCHER_CHANGED, "mei"))[0])
    assert calendar["method"] == "REQUEST"
    calendar, lost = read(files(case(state, Kind.VOUCHER_CHANGED, "tom"))[0])
    assert calendar["method"] == "CANCEL"
    assert gained["uid"] != lost["uid"]


def test_a_shop_without_an_email_address_publishes() -> None:
    """A request must have an organizer; without one the event is published, with nobody invited."""
    (file,) = files(replace(case(accepted(), Kind.VOUCHER), merchant=BARE))
    calendar, event = read(file)
    assert calendar["method"] == "PUBLISH"
    assert "organizer" not in event
    assert "attendee" not in event


def test_a_calendar_file_is_the_same_on_every_attempt() -> None:
    """Its stamp is the moment at which the notice is due, not the moment of sending."""
    one = case(accepted(), Kind.VOUCHER)
    assert files(one) == files(one)
    assert read(files(one)[0])[1].decoded("dtstamp") == one.notice.due


def test_a_calendar_file_is_as_the_library_writes_it() -> None:
    """Read and written anew it is the same, byte for byte: the order of its lines, and their folds."""
    cases = [*full(), replace(case(accepted(), Kind.VOUCHER), merchant=BARE), *two()]
    contents = [file.content for one in cases for file in files(one)]
    assert len(contents) > 3
    assert [Calendar.from_ical(content).to_ical() for content in contents] == contents


def test_only_messages_about_ones_own_sessions_carry_calendar_files() -> None:
    """Voucher, changed voucher and pre-visit; nothing for the booker or the service partner."""
    carrying = {one.notice.kind for one in full() if files(one)}
    assert carrying == {Kind.VOUCHER, Kind.VOUCHER_CHANGED, Kind.PRE_VISIT}


@pytest.mark.parametrize(
    "nasty", ["A; B, C\\D", "Ann\r\nATTENDEE:mailto:x@example.com", 'Ann "The" O:Neil', "家" * 80]
)
def test_a_name_cannot_break_out_of_a_calendar_file(nasty: str) -> None:
    """Separators and line breaks in names and places stay inside their value."""
    one = case(accepted(), Kind.VOUCHER).to(name=nasty)
    (session,) = one.content.sessions
    (file,) = files(one.saying(sessions=(replace(session, name=nasty, place=nasty),)))
    _, event = read(file)
    assert event["location"] == " ".join(nasty.split())
    assert event["attendee"] == "mailto:tom@example.com"
    assert all(len(line) <= 75 for line in file.content.split(b"\r\n"))


@pytest.mark.parametrize("voucher", ["B1024-p1", "B1024-mei", "預約-1", "X" * 120])
def test_the_picture_is_the_qr_code_of_the_number(voucher: str) -> None:
    """The dots of the PNG are those of the code, with a quiet border, and it is never a Micro code."""
    picture = voucher_code(voucher)
    code = segno.make_qr(voucher, error="m")
    assert (picture.filename, picture.media_type, picture.content_id) == (
        "voucher.png",
        "image/png",
        "voucher",
    )
    dots = [[row[x] for x in range(0, len(row), DOTS)] for row in _pixels(picture.content)[::DOTS]]
    assert dots == [[not dark for dark in row] for row in code.matrix_iter(border=4)]


def test_the_same_number_is_the_same_picture() -> None:
    """A resent message is byte for byte the one that was sent."""
    assert voucher_code("B1024-p1") == voucher_code("B1024-p1")


def _pixels(png: bytes) -> list[list[bool]]:
    """The rows of a black and white PNG, one bit a pixel; a row may repeat the last. True is white."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colours = struct.unpack(">IIBB", png[16:26])
    assert (depth, colours) == (1, 0)
    start = png.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", png[start - 8 : start - 4])
    data = zlib.decompress(png[start : start + length])
    stride = 1 + (width + 7) // 8
    rows: list[bytes] = []
    for y in range(height):
        same, row = data[y * stride] == 2, data[y * stride + 1 : (y + 1) * stride]
        assert data[y * stride] == 0 or (same and not any(row))
        rows.append(rows[-1] if same else row)
    return [[bool(row[x // 8] >> (7 - x % 8) & 1) for x in range(width)] for row in rows]
