"""Sessions as calendar files (RFC 5545), so that a voucher, and each change to it, reaches the calendar.

One file a session. With METHOD:REQUEST and METHOD:CANCEL all events of a file must have one UID (RFC 5546),
and Outlook and Thunderbird take only the first of several.

REQUEST, not PUBLISH: Gmail takes an event out again only if it came as a request. It asks for no answer
(RSVP=FALSE, PARTSTAT=ACCEPTED): whoever booked has said yes. A request needs an organizer, so a merchant
without an email address publishes.
"""

from collections.abc import Iterator

from icalendar import Calendar, Event, vCalAddress, vText

from activities.formats import one_line
from activities.template_values import Shop, for_notice, place_of
from channels.base import Attachment
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.ids import booking_workflow_id
from models.merchant import Merchant
from models.notices import Kind

KINDS = (Kind.VOUCHER, Kind.VOUCHER_CHANGED, Kind.PRE_VISIT)


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
    events = (_event(session, method, notice, content, merchant) for session, method in wanted)
    return tuple(_files(events, [method for _, method in wanted]))


def session_uid(merchant_id: str, booking_id: str, session_id: str, person_id: str) -> str:
    """The name of one person's session in every calendar: the same however often it moves.

    Of each person its own: two who share a mailbox have two entries, and one may lose a place alone.
    """
    return f"{booking_workflow_id(merchant_id, booking_id)}/{session_id}/{person_id}@carillon"


def _files(events: Iterator[Event], methods: list[str]) -> Iterator[Attachment]:
    for number, (event, method) in enumerate(zip(events, methods, strict=True), start=1):
        calendar = Calendar()
        calendar.add("prodid", "-//Carillon//Booking notices//EN")
        calendar.add("version", "2.0")
        calendar.add("method", method)
        calendar.add_component(event)
        name = ("cancelled" if method == "CANCEL" else "session") + (f"-{number}" if len(methods) > 1 else "")
        yield Attachment(
            f"{name}.ics", f'text/calendar; method={method}; charset="utf-8"', calendar.to_ical()
        )


def _event(
    session: SessionView, method: str, notice: Notice, content: BookingContent, merchant: Merchant
) -> Event:
    shop = Shop.of(merchant, content.branch_id)
    event = Event()
    event.add("uid", session_uid(merchant.id, content.booking_id, session.id, notice.recipient.id))
    event.add("sequence", session.revision)
    event.add("dtstamp", notice.due)
    event.add("dtstart", session.starts_at)
    event.add("dtend", session.ends_at)
    event.add("summary", f"{one_line(session.name)} - {shop.name}")
    event.add("status", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    event.add("transp", "OPAQUE")
    if place := place_of(session, shop):
        event.add("location", place)
    if contact := ", ".join(filter(None, (shop.name, shop.phone, shop.email))):
        event.add("contact", contact)
    if merchant.email:
        event.add("organizer", _address(merchant.email, shop.name))
    # A published event has no attendees (RFC 5546), but its taking back names whom it concerns.
    if notice.recipient.email and method != "PUBLISH":
        event.add("attendee", _attendee(notice))
    return event


def _attendee(notice: Notice) -> vCalAddress:
    address = _address(notice.recipient.email, one_line(notice.recipient.name))
    address.params |= {
        "CUTYPE": vText("INDIVIDUAL"),
        "ROLE": vText("REQ-PARTICIPANT"),
        "PARTSTAT": vText("ACCEPTED"),
        "RSVP": vText("FALSE"),
    }
    return address


def _address(email: str, name: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{email}")
    if name:
        # A parameter cannot hold a double quote (RFC 5545).
        address.params["CN"] = vText(name.replace('"', "'"))
    return address
