"""Sessions as calendar files (RFC 5545), so that a voucher, and each change to it, reaches the calendar.

One file a session. With METHOD:REQUEST and METHOD:CANCEL all events of a file must have one UID (RFC 5546),
and Outlook and Thunderbird take only the first of several.

REQUEST, not PUBLISH: Gmail takes an event out again only if it came as a request. It asks for no answer
(RSVP=FALSE, PARTSTAT=ACCEPTED): whoever booked has said yes. A request needs an organizer, so a merchant
without an email address publishes.
"""

from collections.abc import Iterator
from datetime import UTC
from functools import lru_cache

from icalendar import Event, vText

from activities.formats import one_line
from activities.template_values import Shop, for_notice, place_of
from channels.base import Attachment
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.ids import booking_workflow_id
from models.merchant import Merchant
from models.notices import Kind

PRODUCT = "-//Carillon//Booking notices//EN"
KINDS = (Kind.VOUCHER, Kind.VOUCHER_CHANGED, Kind.PRE_VISIT)

Parameter = tuple[str, str]


def calendar_files(notice: Notice, content: BookingContent, merchant: Merchant) -> tuple[Attachment, ...]:
    """A file for each session that is on, and one that takes back each that is gone; none for other kinds.

    Byte for byte the same on every attempt: the stamp is the moment at which the notice is due.
    """
    if notice.kind not in KINDS:
        return ()
    content = for_notice(notice, content)
    gone = content.gone if notice.kind is Kind.VOUCHER_CHANGED else ()
    method = "REQUEST" if merchant.email else "PUBLISH"
    wanted = [
        *((session, method) for session in content.sessions),
        *((session, "CANCEL") for session in gone),
    ]
    return tuple(
        _file(session, method, notice, content, merchant, f"-{number}" if len(wanted) > 1 else "")
        for number, (session, method) in enumerate(wanted, start=1)
    )


def session_uid(merchant_id: str, booking_id: str, session_id: str, person_id: str) -> str:
    """The name of one person's session in every calendar: the same however often it moves.

    Of each person its own: two who share a mailbox have two entries, and one may lose a place alone.
    """
    return f"{booking_workflow_id(merchant_id, booking_id)}/{session_id}/{person_id}@carillon"


def _file(
    session: SessionView,
    method: str,
    notice: Notice,
    content: BookingContent,
    merchant: Merchant,
    number: str,
) -> Attachment:
    head = b"BEGIN:VCALENDAR", _line("VERSION", "2.0"), _line("PRODID", PRODUCT), _line("METHOD", method)
    event = _event(session, method, notice, content, merchant)
    lines = (*head, b"BEGIN:VEVENT", *event, b"END:VEVENT", b"END:VCALENDAR", b"")
    name = ("cancelled" if method == "CANCEL" else "session") + number
    return Attachment(f"{name}.ics", f'text/calendar; method={method}; charset="utf-8"', b"\r\n".join(lines))


def _event(
    session: SessionView, method: str, notice: Notice, content: BookingContent, merchant: Merchant
) -> Iterator[bytes]:
    """The lines of an event, in the order in which the library writes them."""
    shop = Shop.of(merchant, content.branch_id)
    yield _line("SUMMARY", f"{one_line(session.name)} - {shop.name}")
    yield _line("DTSTART", session.starts_at.astimezone(UTC))
    yield _line("DTEND", session.ends_at.astimezone(UTC))
    yield _line("DTSTAMP", notice.due.astimezone(UTC))
    yield _written("UID", session_uid(merchant.id, content.booking_id, session.id, notice.recipient.id))
    yield _line("SEQUENCE", session.revision)
    # A published event has no attendees (RFC 5546), but its taking back names whom it concerns.
    if notice.recipient.email and method != "PUBLISH":
        yield _written("ATTENDEE", f"mailto:{notice.recipient.email}", *_attending(notice.recipient.name))
    if contact := ", ".join(filter(None, (shop.name, shop.phone, shop.email))):
        yield _line("CONTACT", contact)
    if place := place_of(session, shop):
        yield _line("LOCATION", place)
    if merchant.email:
        yield _line("ORGANIZER", f"mailto:{merchant.email}", *_named(shop.name))
    yield _line("STATUS", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    yield _line("TRANSP", "OPAQUE")


def _attending(name: str) -> tuple[Parameter, ...]:
    return (
        *_named(one_line(name)),
        ("CUTYPE", "INDIVIDUAL"),
        ("ROLE", "REQ-PARTICIPANT"),
        ("PARTSTAT", "ACCEPTED"),
        ("RSVP", "FALSE"),
    )


def _named(name: str) -> tuple[Parameter, ...]:
    # A parameter cannot hold a double quote (RFC 5545).
    return (("CN", name.replace('"', "'")),) if name else ()


def _written(name: str, value: object, *parameters: Parameter) -> bytes:
    """One property as the library writes it: escaped, and folded over several lines where it is long."""
    lone = Event()
    lone.add(name, value, {key: vText(one) for key, one in parameters})
    return bytes(lone.content_line(name, lone[name]).to_ical())


_line = lru_cache(maxsize=1_000)(_written)
"""The same, kept: from one message to the next most lines are alike, and the library takes its time.

What names a recipient is not kept: it is written but once.
"""
