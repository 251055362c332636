"""Whole lives of bookings on the real server, with time skipped and every message read back."""

import base64
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata

from client import EndedError, RefusedError, UnknownLifecycleError
from models.agenda import Agenda, Done, Reason, Status
from models.booking import OrderStatus
from models.booking_facts import (
    Accepted,
    Assigned,
    Cancel,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.merchant import PaymentMethod, SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person
from models.showing import shown_time
from models.timing import Offset, end_of_day, local_day, moment
from tests.requirements import requirement
from tests.world import ADA, BO, CY, MERCHANT, World, a_world, booking, now, service
from workflows.lifecycle import NEXT_NOTICE, NEXT_NOTICE_AT

ZONE = MERCHANT.zone
PARTNER = Person("Dee Partner", "dee@example.com", "", "en", id="dee")


def owed(agenda: Agenda, kind: Kind) -> list[datetime]:
    return [notice.due for notice in agenda.owed if notice.kind is kind]


def reasons(agenda: Agenda, kind: Kind) -> set[Reason]:
    return {left.reason for left in agenda.left_out if left.kind is kind}


def calendars(mail: EmailMessage) -> list[Any]:
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    return [Calendar.from_ical(part.get_content()) for part in parts]


def placed(done: Done) -> bool:
    return done.notice.kind is Kind.ORDER_PLACED


def two_days_before(starts: datetime) -> datetime:
    return moment(local_day(starts, ZONE), Offset(-2, MERCHANT.booking.pre_visit.at), ZONE)


@requirement("WACA-01", "WACA-03", "WACA-10", "WACA-12", "WACA-15", "WACA-17", "WACA-36", "WACA-39")
async def test_a_paid_booking_is_told_at_every_stage_and_reminded_two_days_before(world: World) -> None:
    """Every stage reaches the right person, by the right channels, at its moment."""
    made = booking(service("s1", 10, ADA, BO))
    id = await world.start(made)
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    due = two_days_before(made.services[0].starts_at)
    await world.forward_to(id, due - timedelta(seconds=2))
    assert Kind.PRE_VISIT not in await world.kinds_to(ADA), "not a second too early"
    report = await world.to_the_end(id)
    assert await world.kinds_to(ADA) == ["order_placed", "payment_received", "voucher", "pre_visit"]
    assert await world.kinds_to(ADA, "sms") == ["order_placed", "payment_received", "pre_visit"]
    assert await world.kinds_to(BO) == ["voucher", "pre_visit"]
    assert await world.kinds_to(BO, "sms") == ["pre_visit"]
    assert len(world.mails) == 6
    mobiles = sorted(sms.mobile for sms in world.twsms.accepted)
    assert mobiles == ["0912345678"] * 3 + ["0923456789"]
    assert (report.stage, report.sent, report.missed) == (OrderStatus.ACCEPTED, 6, 0)
    assert "2 pre visit" in report.words
    visit = next(d for d in (await world.carillon.agenda(id)).done if d.notice.kind is Kind.PRE_VISIT)
    assert due <= visit.outcomes[0].at < due + timedelta(seconds=5)


@requirement("WACA-16")
async def test_acceptance_in_instalments_sends_a_voucher_and_then_changes(world: World) -> None:
    """The first acceptance makes the voucher, each later one the voucher-changed notice; calendars follow."""
    made = booking(service("s1", 10, ADA), service("s2", 12, ADA), service("s3", 14, BO))
    id = await world.start(made)
    agenda = await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="a1", services=("s1",)))
    assert agenda.stage == OrderStatus.ACCEPTING
    agenda = await world.tell(id, Accepted(event_id="a2", services=("s2", "s3")))
    assert agenda.stage == OrderStatus.ACCEPTED
    assert await world.kinds_to(ADA) == ["order_placed", "payment_received", "voucher", "voucher_changed"]
    assert await world.kinds_to(BO) == ["voucher"]
    voucher, changed = world.mails_to(ADA)[2:]
    assert len(calendars(voucher)) == 1
    assert len(calendars(changed)) == 2


@requirement("WACA-16")
async def test_a_partial_cancel_changes_the_voucher_and_takes_the_session_off_the_calendar(
    world: World,
) -> None:
    """A cancelled service: its participant is told, its entry cancelled, its pre-visit not sent."""
    made = booking(service("s1", 10, ADA), service("s2", 12, BO))
    id = await world.start(made)
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    agenda = await world.tell(id, Cancelled(event_id="no", services=("s2",)))
    assert agenda.stage == OrderStatus.ACCEPTED
    assert Reason.SESSION_CANCELLED in reasons(agenda, Kind.PRE_VISIT)
    voucher, changed = world.mails_to(BO)
    first, last = calendars(voucher)[0].events[0], calendars(changed)[0].events[0]
    assert calendars(changed)[0]["METHOD"] == "CANCEL"
    assert (first["UID"], first["SEQUENCE"] < last["SEQUENCE"]) == (last["UID"], True)
    await world.to_the_end(id)
    assert "pre_visit" not in await world.kinds_to(BO)


@requirement("WACA-11", "WACA-13", "WACA-31", "WACA-33")
@pytest.mark.parametrize(
    ("method", "days"),
    [
        (PaymentMethod.ATM, 2),
        (PaymentMethod.BARCODE, 3),
        (PaymentMethod.IBON, 2),
        (PaymentMethod.FAMIPORT, 2),
    ],
)
async def test_an_unpaid_order_is_reminded_and_fails_at_its_deadline(
    world: World, method: PaymentMethod, days: int
) -> None:
    """Paid through a third party: reminded at 10:00 the day before, failed at the end of day N+2 or N+3."""
    made = booking(method=method)
    id = await world.start(made)
    last_day = local_day(made.ordered_at, ZONE) + timedelta(days=days)
    deadline = end_of_day(last_day, ZONE)
    await world.forward_to(id, deadline - timedelta(seconds=5))
    agenda = await world.quiet(id)
    assert agenda.stage == OrderStatus.PROCESSING
    reminder = next(done for done in agenda.done if done.notice.kind is Kind.PAYMENT_REMINDER)
    assert reminder.notice.due == moment(last_day, MERCHANT.booking.payment_reminder, ZONE)
    await world.forward_to(id, deadline + timedelta(seconds=2))
    assert (await world.quiet(id)).stage == OrderStatus.FAILED
    report = await world.to_the_end(id)
    assert report.stage == OrderStatus.FAILED
    assert await world.kinds_to(ADA) == ["order_placed", "payment_reminder", "order_failed"]
    assert await world.kinds_to(ADA, "sms") == ["order_placed", "payment_reminder", "order_failed"]


@requirement("WACA-31", "WACA-33")
async def test_an_unpaid_bank_transfer_is_reminded_and_waits_for_the_merchant(world: World) -> None:
    """A bank transfer stays unpaid at its deadline; a payment after it is taken."""
    made = booking(method=PaymentMethod.BANK_TRANSFER)
    id = await world.start(made)
    await world.forward_to(id, made.ordered_at + timedelta(days=4))
    agenda = await world.quiet(id)
    assert agenda.stage == OrderStatus.PROCESSING
    agenda = await world.tell(id, PaymentReceived(event_id="late"))
    assert agenda.stage == OrderStatus.PAID
    assert await world.kinds_to(ADA) == ["order_placed", "payment_reminder", "payment_received"]


@requirement("WACA-31", "WACA-11")
async def test_a_declined_card_fails_the_order(world: World) -> None:
    """A failed card payment fails the order at once; the mail says why."""
    id = await world.start(booking(method=PaymentMethod.CARD))
    agenda = await world.tell(id, PaymentFailed(event_id="declined"))
    assert agenda.stage == OrderStatus.FAILED
    assert await world.kinds_to(ADA) == ["order_placed", "order_failed"]
    assert (await world.to_the_end(id)).stage == OrderStatus.FAILED


@requirement("WACA-31")
async def test_a_payment_made_in_time_but_told_late_restores_the_order(world: World) -> None:
    """The money was there before the deadline: the order goes on, though it had failed meanwhile."""
    made = booking()
    id = await world.start(made)
    await world.forward_to(id, made.ordered_at + timedelta(days=4))
    assert (await world.quiet(id)).stage == OrderStatus.FAILED
    paid_at = made.ordered_at + timedelta(days=1)
    agenda = await world.tell(id, PaymentReceived(event_id="pay", at=paid_at), Accepted(event_id="ok"))
    assert agenda.stage == OrderStatus.ACCEPTED
    assert len(owed(agenda, Kind.PRE_VISIT)) == 1


@requirement("WACA-31")
async def test_a_payment_after_the_deadline_is_refused_with_its_reason(world: World) -> None:
    """The order failed: what is paid after that is refused, shown, and changes nothing."""
    made = booking()
    id = await world.start(made)
    await world.forward_to(id, made.ordered_at + timedelta(days=4))
    agenda = await world.tell(id, PaymentReceived(event_id="pay"))
    agenda = await world.until(id, lambda agenda: bool(agenda.not_taken))
    assert agenda.stage == OrderStatus.FAILED
    assert "deadline" in agenda.not_taken[0].reason
    assert "payment_received" not in await world.kinds_to(ADA)


@requirement("WACA-14", "WACA-34")
async def test_a_cancel_before_payment_ends_the_booking(world: World) -> None:
    """The customer cancels: one cancel notice, no reminder, and told twice it is still one."""
    id = await world.start(booking())
    await world.carillon.tell(id, Cancelled(event_id="c1"))
    report = await world.to_the_end(id)
    assert report.stage == OrderStatus.CANCELLED
    assert await world.kinds_to(ADA) == ["order_placed", "order_cancelled"]
    with pytest.raises(EndedError, match="Cancelled"):
        await world.carillon.tell(id, Cancelled(event_id="c2"))


@requirement("WACA-34")
async def test_a_paid_order_is_cancelled_by_its_refund_only(world: World) -> None:
    """Asked to cancel, a paid order refuses and says how; the refund cancels it and the calendars follow."""
    id = await world.start(booking(service("s1", 10, BO)))
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    with pytest.raises(RefusedError, match="refund"):
        await world.carillon.ask(id, Cancel(event_id="c1"))
    await world.carillon.tell(id, Refunded(event_id="back"))
    report = await world.to_the_end(id)
    assert report.stage == OrderStatus.CANCELLED
    assert await world.kinds_to(ADA) == ["order_placed", "payment_received", "order_cancelled"]
    assert await world.kinds_to(BO) == ["voucher", "voucher_changed"]
    assert calendars(world.mails_to(BO)[-1])[0]["METHOD"] == "CANCEL"


@requirement("WACA-33", "WACA-34")
async def test_payment_in_person_gets_no_reminder_and_no_deadline(world: World) -> None:
    """Paid at the visit: nothing is asked before, and the booking lives to its session."""
    id = await world.start(booking(method=PaymentMethod.IN_PERSON))
    agenda = await world.tell(id, Accepted(event_id="ok"))
    assert Reason.PAID_IN_PERSON in reasons(agenda, Kind.PAYMENT_REMINDER)
    report = await world.to_the_end(id)
    assert report.stage == OrderStatus.ACCEPTED
    assert await world.kinds_to(ADA) == ["order_placed", "voucher", "pre_visit"]


async def test_a_rescheduled_session_is_told_and_reminded_at_its_new_time(world: World) -> None:
    """Moved after its pre-visit was sent: a changed voucher, the same calendar entry, another pre-visit."""
    made = booking(service("s1", 10, ADA))
    id = await world.start(made)
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    await world.forward_to(id, two_days_before(made.services[0].starts_at))
    await world.quiet(id)
    later = made.services[0].starts_at + timedelta(days=10)
    agenda = await world.carillon.ask(
        id, Reschedule(event_id="mv", service="s1", starts_at=later, ends_at=later + timedelta(hours=1))
    )
    assert owed(agenda, Kind.PRE_VISIT) == [two_days_before(later)]
    await world.quiet(id)
    await world.to_the_end(id)
    kinds = await world.kinds_to(ADA)
    assert kinds == [
        "order_placed",
        "payment_received",
        "voucher",
        "pre_visit",
        "voucher_changed",
        "pre_visit",
    ]
    entries = [calendars(mail)[0].events[0] for mail in world.mails_to(ADA) if calendars(mail)]
    assert len({str(entry["UID"]) for entry in entries}) == 1
    assert [entry["SEQUENCE"] for entry in entries] == [0, 0, 1, 1]
    assert entries[-1]["DTSTART"].dt == later


@requirement("WACA-09")
async def test_a_participant_changes_freely_before_acceptance_and_by_a_changed_voucher_after(
    world: World,
) -> None:
    """Before: the voucher just goes to the new one. After: both hear of it, one entry is cancelled."""
    id = await world.start(booking(service("s1", 10, BO)))
    await world.carillon.ask(id, ChangeParticipant(event_id="p1", service="s1", participant="bo", person=CY))
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    assert await world.kinds_to(BO) == []
    assert await world.kinds_to(CY) == ["voucher"]
    await world.carillon.ask(id, ChangeParticipant(event_id="p2", service="s1", participant="cy", person=BO))
    agenda = await world.quiet(id)
    assert await world.kinds_to(CY) == ["voucher", "voucher_changed"]
    assert await world.kinds_to(BO) == ["voucher_changed"]
    assert calendars(world.mails_to(CY)[-1])[0]["METHOD"] == "CANCEL"
    assert [notice.recipient.id for notice in agenda.owed] == ["bo"]


@requirement("WACA-18")
async def test_the_service_partner_hears_of_the_session_once_it_is_accepted(world: World) -> None:
    """Assigned before acceptance or after: one email, to the partner only."""
    id = await world.start(booking(service("s1", 10, ADA)))
    agenda = await world.tell(id, Assigned(event_id="as", service="s1", partner=PARTNER))
    assert await world.kinds_to(PARTNER) == []
    agenda = await world.tell(id, Accepted(event_id="ok"))
    await world.tell(id, Assigned(event_id="as", service="s1", partner=PARTNER))
    assert agenda.stage == OrderStatus.ACCEPTED
    assert await world.kinds_to(PARTNER) == ["service_assignment"]


@requirement("WACA-07")
async def test_facts_out_of_order_and_told_twice_come_to_the_same(world: World) -> None:
    """The acceptance before the payment, everything twice: each notice still goes once."""
    id = await world.start(booking(service("s1", 10, ADA)))
    for fact in (Accepted(event_id="ok"), PaymentReceived(event_id="pay")):
        await world.tell(id, fact, fact, replace(fact, event_id=f"{fact.event_id}-again"))
    agenda = await world.until(id, lambda agenda: len(agenda.not_taken) == 2)
    assert agenda.stage == OrderStatus.ACCEPTED
    await world.to_the_end(id)
    kinds = await world.kinds_to(ADA)
    assert sorted(kinds) == ["order_placed", "payment_received", "pre_visit", "voucher"]


async def test_a_booking_started_twice_has_one_life(world: World) -> None:
    """The same booking handed over again, during its life and after it, changes nothing."""
    made = booking(method=PaymentMethod.IN_PERSON)
    id = await world.start(made)
    assert not (await world.carillon.start_booking(made)).new
    await world.to_the_end(id)
    assert not (await world.carillon.start_booking(made)).new
    assert await world.kinds_to(ADA) == ["order_placed"]


@requirement("WACA-36")
async def test_a_late_acceptance_sends_the_pre_visit_at_once_while_a_day_remains(world: World) -> None:
    """Accepted after the pre-visit's moment: it goes at once. With less than 24 hours left: not at all."""
    near, far = service("near", 3, ADA), service("far", 3.5, BO)
    id = await world.start(booking(near, far, method=PaymentMethod.IN_PERSON))
    await world.forward_to(id, near.starts_at - timedelta(hours=18))
    agenda = await world.tell(id, Accepted(event_id="ok"))
    assert sorted(await world.kinds_to(BO)) == ["pre_visit", "voucher"]
    assert await world.kinds_to(ADA) == ["order_placed", "voucher"]
    assert Reason.KNOWN_TOO_LATE in reasons(agenda, Kind.PRE_VISIT)


@requirement("WACA-36")
async def test_a_service_the_day_after_the_order_gets_no_pre_visit(world: World) -> None:
    """It is left out, with the reason, from the first moment."""
    id = await world.start(booking(service("s1", 1), method=PaymentMethod.IN_PERSON))
    agenda = await world.tell(id, Accepted(event_id="ok"))
    assert reasons(agenda, Kind.PRE_VISIT) == {Reason.SERVICE_TOO_SOON}
    await world.to_the_end(id)
    assert await world.kinds_to(ADA) == ["order_placed", "voucher"]


async def test_a_booking_that_nobody_accepts_ends_with_its_last_session(world: World) -> None:
    """Nothing is left hanging: the workflow ends, and says what was left out and why."""
    id = await world.start(booking(method=PaymentMethod.IN_PERSON))
    report = await world.to_the_end(id)
    assert report.stage == OrderStatus.PROCESSING
    assert "waits until the merchant accepts the service" in report.words


@requirement("WACA-20", "WACA-21", "WACA-22")
@pytest.mark.parametrize("provider", [SmsProvider.SMARTDOVE, SmsProvider.OFF])
async def test_sms_goes_by_the_provider_that_the_merchant_picked(
    temporal: object, tmp_path: object, provider: SmsProvider
) -> None:
    """SMARTDOVE instead of TwSMS; or none, and then the agenda says so."""
    merchant = replace(MERCHANT, sms=SmsSettings(provider))
    async with a_world(temporal, tmp_path, merchant=merchant) as world, world.worker():  # type: ignore[arg-type]
        id = await world.start(booking())
        agenda = await world.carillon.agenda(id)
        assert world.twsms.accepted == []
        assert len(world.smartdove.accepted) == (1 if provider is SmsProvider.SMARTDOVE else 0)
        off = Reason.CHANNEL_OFF in {left.reason for left in agenda.left_out}
        assert off is (provider is SmsProvider.OFF)


async def test_a_mailbox_that_does_not_exist_is_a_failure_and_not_a_retry(world: World) -> None:
    """The provider refuses for good: its words are kept, and the SMS goes all the same."""
    world.mail_sink.refuse = lambda _: "550 5.1.1 no such user"
    id = await world.start(booking())
    done = (await world.carillon.agenda(id)).done[0]
    by_channel = {outcome.channel: outcome for outcome in done.outcomes}
    assert by_channel["email"].status is Status.FAILED
    assert "no such user" in by_channel["email"].reason
    assert by_channel["sms"].status is Status.SENT


async def test_a_provider_that_is_down_for_a_while_gets_each_message_once(world: World) -> None:
    """Trouble that passes is waited out: the message goes when the provider is back, and only once."""
    answers = iter(["451 try again", "451 try again"])
    world.mail_sink.refuse = lambda _: next(answers, None)
    await world.start(booking())
    assert await world.kinds_to(ADA) == ["order_placed"]
    assert len(world.mails) == 1
    assert len(world.twsms.accepted) == 1


async def test_what_lapses_while_it_is_being_tried_is_withdrawn(world: World) -> None:
    """A notice still being tried when the order is cancelled is not sent after it."""
    world.mail_sink.refuse = lambda _: "451 try again"
    made = booking(method=PaymentMethod.IN_PERSON)
    started = await world.carillon.start_booking(made)
    await world.until(started.lifecycle, lambda agenda: agenda.stage == OrderStatus.PROCESSING)
    await world.carillon.tell(started.lifecycle, Cancelled(event_id="c1"))
    await world.until(
        started.lifecycle, lambda agenda: any(d.notice.kind == Kind.ORDER_PLACED for d in agenda.done)
    )
    world.mail_sink.refuse = None
    report = await world.to_the_end(started.lifecycle)
    assert await world.kinds_to(ADA) == ["order_cancelled"]
    assert report.sent == 2, "the SMS had gone before, and counts"


async def test_nonsense_told_is_shown_and_drops_nothing(world: World) -> None:
    """What cannot be read is on record with what is wrong; the life goes on."""
    id = await world.start(booking())
    await world.handle(id).signal("tell", {"fact": "payment_recieved", "event_id": "x"})
    await world.handle(id).signal("tell", "hello")
    await world.handle(id).signal("tell", {"fact": "accepted", "event_id": ["x"]})
    agenda = await world.until(id, lambda agenda: len(agenda.not_taken) == 3)
    assert "payment_recieved" in agenda.not_taken[0].reason
    assert (await world.tell(id, PaymentReceived(event_id="pay"))).stage == OrderStatus.PAID


async def test_what_is_told_of_no_booking_is_an_error_that_says_so(world: World) -> None:
    """A wrong id is the caller's mistake, told in words."""
    with pytest.raises(UnknownLifecycleError, match="start it"):
        await world.carillon.tell("booking:lumi:nowhere", Accepted(event_id="ok"))


async def test_a_request_that_makes_no_sense_is_refused_and_changes_nothing(world: World) -> None:
    """A session cannot be moved into the past; the agenda stays as it was."""
    id = await world.start(booking())
    before = await world.carillon.agenda(id)
    past = now() - timedelta(days=1)
    with pytest.raises(RefusedError, match="past"):
        await world.carillon.ask(
            id, Reschedule(event_id="mv", service="s1", starts_at=past, ends_at=past + timedelta(hours=1))
        )
    assert await world.carillon.agenda(id) == before


async def test_an_administrator_finds_the_booking_by_what_matters(world: World) -> None:
    """Search attributes tell merchant, stage, next notice and last outcome; the summary tells what it is."""
    made = booking(service("s1", 10, ADA))
    id = await world.start(made)
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    description = await world.handle(id).describe()
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert attributes["MerchantId"] == "lumi"
    assert attributes["Stage"] == "accepted"
    assert attributes["NextNotice"] == "pre_visit"
    assert attributes["NextNoticeAt"] == two_days_before(made.services[0].starts_at)
    assert attributes["LastOutcome"].endswith(" sent")
    assert await description.static_summary() == f"Booking {made.booking_id} at lumi"


async def test_the_web_ui_tells_what_is_owed_sent_and_left_out_and_why(world: World) -> None:
    """The details are the agenda, by the clock of the shop; timers and activities say what they are for."""
    made = booking(service("s1", 10, ADA), method=PaymentMethod.IN_PERSON)
    id = await world.start(made)
    await world.tell(id, Accepted(event_id="ok"))
    known = await world.handle(id).query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    visit = shown_time(two_days_before(made.services[0].starts_at), ZONE)
    next_one, settled, left_out = known.current_details.partition("### Next")[2].split("### ")
    assert f"| {visit} | pre visit (s1) | Ada Lin (participant) | email, sms |" in next_one
    assert "| order placed | Ada Lin (booker) | email sent; sms sent |" in settled
    assert "payment in person gets no reminder" in left_out
    assert f"times are those of {ZONE}" in known.current_details
    history = await world.handle(id).fetch_history()
    summaries = [
        json.loads(event.user_metadata.summary.data)
        for event in history.events
        if event.HasField("user_metadata")
        and event.event_type
        in (EventType.EVENT_TYPE_TIMER_STARTED, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    ]
    assert "order_placed to booker by email, sms" in summaries
    assert "voucher to participant by email" in summaries
    assert f"pre visit (s1), {visit}" in summaries


async def test_search_attributes_are_written_only_when_they_change(world: World) -> None:
    """Each record costs the server; the last word of a booking is never written twice."""
    id = await world.start(booking())
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    await world.to_the_end(id)
    known: dict[str, bytes] = {}
    for event in (await world.handle(id).fetch_history()).events:
        fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        written = {name: payload.data for name, payload in fields.items()}
        assert all(known.get(name) != data for name, data in written.items()), written
        known |= written
    assert {"Stage", "NextNotice", "NextNoticeAt", "LastOutcome"} <= known.keys()


async def test_no_credential_is_in_a_history(world: World) -> None:
    """They come from the environment, and stay in the channels."""
    id = await world.start(booking())
    await world.to_the_end(id)
    history = (await world.handle(id).fetch_history()).to_json()
    secrets = [world.twsms.password, world.twsms.username, world.smartdove.token]
    assert [secret for secret in secrets if f'"{secret}"' in history or secret in _decoded(history)] == []
    assert ADA.email in _decoded(history), "it is looked for where it would be"


def _decoded(history: str) -> str:
    """All payloads of a history, in the clear."""
    found = re.findall(r'"data": "([A-Za-z0-9+/=]+)"', history)
    return "\n".join(base64.b64decode(data).decode("utf-8", "replace") for data in found)


async def test_a_notice_that_is_held_up_is_found_by_its_moment(world: World) -> None:
    """What is being tried is the next notice until it is settled: by its past moment it is found."""
    world.mail_sink.refuse = lambda _: "451 try again"
    made = booking(service("s1", 10, ADA), method=PaymentMethod.IN_PERSON)
    id = (await world.carillon.start_booking(made)).lifecycle
    await world.carillon.tell(id, Accepted(event_id="ok"))
    await world.until(id, lambda agenda: agenda.stage == OrderStatus.ACCEPTED)
    assert await _next_notice(world, id) == ("order_placed", made.ordered_at)
    world.mail_sink.refuse = None
    await world.quiet(id)
    assert await _next_notice(world, id) == ("pre_visit", two_days_before(made.services[0].starts_at))


async def _next_notice(world: World, lifecycle: str) -> tuple[Any, Any]:
    """Its kind and moment, as an administrator finds them."""
    found = (await world.handle(lifecycle).describe()).typed_search_attributes
    return found.get(NEXT_NOTICE), found.get(NEXT_NOTICE_AT)
