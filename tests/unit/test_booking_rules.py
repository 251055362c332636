"""Every stage of a booking is told to who needs it, once; what does not fit is refused with a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from models.agenda import Agenda, LeftOut, Notice, Reason, Status
from models.booking import BookingState, OrderStatus, PaymentStatus
from models.booking_agenda import booking_agenda
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    Cancel,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.booking_record import REMEMBERED, begin, refusal
from models.ids import booking_workflow_id
from models.merchant import (
    Branch,
    Merchant,
    PaymentMethod,
    SmsProvider,
    SmsSettings,
    booking_rules,
)
from models.notices import CATALOGUE, Editable, Kind, NoticeClass
from models.people import Role
from models.rehearsal import rehearse
from tests.bookings import ANNA, BEN, CHLOE, DORA, Life, booking, clock, people, service, shop
from tests.requirements import requirement

PAID = PaymentReceived(event_id="")
DECLINED = PaymentFailed(event_id="")
REFUNDED = Refunded(event_id="")
ACCEPTED = Accepted(event_id="")
CANCELLED = Cancelled(event_id="")
ASSIGNED = Assigned(event_id="", service="s1", partner=DORA)
MOVED = Reschedule(event_id="", service="s1", starts_at=clock("2026-03-27 16:00"))
CHANGED = ChangeParticipant(event_id="", service="s1", participant="ben", person=CHLOE)

CARD, ATM = PaymentMethod.CARD, PaymentMethod.ATM

BOTH, EMAIL = ("email", "sms"), ("email",)


@requirement("WACA-39", "WACA-02", "WACA-06", "WACA-08")
@pytest.mark.parametrize(
    ("kind", "role", "channels"),
    [
        (Kind.ORDER_PLACED, Role.BOOKER, BOTH),
        (Kind.ORDER_FAILED, Role.BOOKER, BOTH),
        (Kind.PAYMENT_RECEIVED, Role.BOOKER, BOTH),
        (Kind.PAYMENT_REMINDER, Role.BOOKER, BOTH),
        (Kind.ORDER_CANCELLED, Role.BOOKER, BOTH),
        (Kind.VOUCHER, Role.PARTICIPANT, EMAIL),
        (Kind.VOUCHER_CHANGED, Role.PARTICIPANT, EMAIL),
        (Kind.PRE_VISIT, Role.PARTICIPANT, BOTH),
        (Kind.SERVICE_ASSIGNMENT, Role.SERVICE_PARTNER, EMAIL),
    ],
)
def test_the_catalogue_says_who_is_told_and_by_which_channels(
    kind: Kind, role: Role, channels: tuple[str, ...]
) -> None:
    """Email alone for the voucher, its changes and the assignment; email and SMS for the rest."""
    row = CATALOGUE[kind]
    assert (row.role, row.channels) == (role, channels)
    assert row.requirements


@requirement("WACA-04", "WACA-05", "WACA-23")
def test_email_bodies_are_fixed_but_for_the_pre_visit_notes() -> None:
    """What has an SMS has an editable SMS text; the notes belong to the pre-visit notice alone."""
    for row in (row for row in CATALOGUE.values() if row.role is not Role.MEMBER):
        notes = row.kind is Kind.PRE_VISIT
        expected = (
            Editable.SMS_AND_NOTES if notes else Editable.SMS if "sms" in row.channels else Editable.FIXED
        )
        assert row.editable is expected
        assert row.notice_class in (NoticeClass.TRANSACTIONAL, NoticeClass.REMINDER)


@requirement("WACA-01", "WACA-10", "WACA-30")
def test_an_order_is_told_to_the_booker_when_it_is_placed() -> None:
    """By email and SMS, at once, worth telling for a day."""
    state = begin(booking(), shop())
    assert (state.order, state.payment) == (OrderStatus.PROCESSING, PaymentStatus.UNPAID)
    (notice,) = (
        n for n in booking_agenda(state, state.booking.ordered_at).owed if n.kind is Kind.ORDER_PLACED
    )
    assert (notice.recipient, notice.channels, notice.role) == (ANNA, BOTH, Role.BOOKER)
    assert notice.due == clock("2026-03-02 09:30")
    assert notice.not_after == clock("2026-03-03 09:30")


@requirement("WACA-10")
def test_an_order_handed_over_days_late_is_not_confirmed_any_more() -> None:
    """An import of old bookings sends no confirmations: each is missed. What is to come is owed."""
    state = begin(booking(), shop())
    agenda = booking_agenda(state, clock("2026-03-03 09:30:01"))
    placed = next(notice for notice in agenda.owed if notice.kind is Kind.ORDER_PLACED)
    assert placed.not_after < clock("2026-03-03 09:30:01")


@requirement("WACA-01", "WACA-03", "WACA-08")
def test_a_whole_life_tells_every_stage_to_who_needs_it() -> None:
    """Placed, reminded, paid, accepted, assigned, visited: each at its moment, and then it is over."""
    life = Life(booking(by=ATM))
    life.take(PAID, "2026-03-03 12:00")
    life.take(ACCEPTED, "2026-03-04 09:00")
    life.take(ASSIGNED, "2026-03-05 09:00")
    assert not life.until("2026-03-20 14:59:59").agenda.over
    assert life.until("2026-03-20 15:00:00").agenda.over
    assert [(done.notice.kind, done.notice.recipient.id, done.status) for done in life.state.done] == [
        (Kind.ORDER_PLACED, "anna", Status.SENT),
        (Kind.PAYMENT_REMINDER, "anna", Status.SENT),
        (Kind.PAYMENT_RECEIVED, "anna", Status.SENT),
        (Kind.VOUCHER, "ben", Status.SENT),
        (Kind.SERVICE_ASSIGNMENT, "dora", Status.SENT),
        (Kind.PRE_VISIT, "ben", Status.SENT),
    ]


@requirement("WACA-01")
def test_a_booking_is_over_when_the_last_of_its_sessions_that_are_on_is_over() -> None:
    """Whatever their order in the list; a cancelled one is not waited for."""
    first, last = service("s1", "2026-03-21 14:00", BEN), service("s2", "2026-03-20 14:00", BEN)
    whole = Life(booking(first, last)).until("2026-03-21 14:59:59")
    assert not whole.agenda.over
    assert whole.agenda.next_moment == clock("2026-03-21 15:00")
    assert whole.until("2026-03-21 15:00").agenda.over
    part = Life(booking(first, last)).take(Cancelled(event_id="", services=("s1",)))
    assert not part.until("2026-03-20 14:59:59").agenda.over
    assert part.until("2026-03-20 15:00").agenda.over


@requirement("WACA-07")
@pytest.mark.parametrize(
    ("told", "order", "payment"),
    [
        ([], "processing", "unpaid"),
        ([PAID], "paid", "paid"),
        ([ACCEPTED], "accepted", "unpaid"),
        ([replace(ACCEPTED, services=("s1",))], "accepting", "unpaid"),
        ([replace(ACCEPTED, services=("s1",)), PAID], "accepting", "paid"),
        ([PAID, ACCEPTED], "accepted", "paid"),
        ([DECLINED], "failed", "unpaid"),
        ([ACCEPTED, DECLINED], "failed", "unpaid"),
        ([DECLINED, PAID], "paid", "paid"),
        ([ACCEPTED, DECLINED, PAID], "accepted", "paid"),
        ([CANCELLED], "cancelled", "unpaid"),
        ([ACCEPTED, CANCELLED], "cancelled", "unpaid"),
        ([PAID, REFUNDED], "cancelled", "refunded"),
        ([PAID, ACCEPTED, REFUNDED], "cancelled", "refunded"),
        ([REFUNDED], "cancelled", "refunded"),
        ([DECLINED, REFUNDED], "cancelled", "refunded"),
    ],
)
def test_order_and_payment_are_two_statuses_that_follow_from_what_happened(
    told: list[AnyBookingFact], order: str, payment: str
) -> None:
    """Every pair that a booking can come to."""
    life = two_by_card()
    for fact in told:
        life.take(fact)
    assert (life.state.order, life.state.payment) == (order, payment)
    assert life.agenda.stage == order


@requirement("WACA-07")
@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([CANCELLED], PAID),
        ([CANCELLED], DECLINED),
        ([CANCELLED], REFUNDED),
        ([CANCELLED], ACCEPTED),
        ([CANCELLED], ASSIGNED),
        ([CANCELLED], MOVED),
        ([CANCELLED], CHANGED),
        ([DECLINED], ACCEPTED),
        ([DECLINED], ASSIGNED),
        ([DECLINED], MOVED),
        ([DECLINED], CHANGED),
        ([DECLINED], CANCELLED),
        ([PAID], DECLINED),
        ([PAID], CANCELLED),
        ([PAID], Cancel(event_id="")),
        ([PAID, REFUNDED], ACCEPTED),
        ([PAID, REFUNDED], DECLINED),
    ],
)
def test_what_the_statuses_do_not_allow_is_refused_with_a_reason_and_changes_nothing(
    before: list[AnyBookingFact], told: AnyBookingFact
) -> None:
    """The state is the same but for the note; the agenda is the same but for the note."""
    life = two_by_card()
    for fact in before:
        life.take(fact)
    state, agenda = life.state, life.agenda
    verdict = life.tell(told)
    assert (verdict.taken, verdict.known) == (False, False)
    assert verdict.reason
    assert replace(life.state, not_taken=state.not_taken) == state
    assert replace(life.agenda, not_taken=agenda.not_taken) == agenda
    note = life.state.not_taken[-1]
    assert (note.fact, note.reason, note.at) == (told.fact, verdict.reason, life.now)


@requirement("WACA-07")
@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([PAID], PAID),
        ([PAID, REFUNDED], REFUNDED),
        ([PAID, REFUNDED], PAID),
        ([DECLINED], DECLINED),
        ([ACCEPTED], ACCEPTED),
        ([ACCEPTED, ASSIGNED], ASSIGNED),
        ([MOVED], MOVED),
        ([CANCELLED], CANCELLED),
        ([CANCELLED], replace(CANCELLED, services=("s1",))),
        ([replace(CANCELLED, services=("s1",))], replace(CANCELLED, services=("s1",))),
    ],
)
def test_what_is_so_already_is_no_news_under_another_event_id_too(
    before: list[AnyBookingFact], told: AnyBookingFact
) -> None:
    """Known, with the reason; nothing is told to anyone a second time."""
    life = two_by_card()
    for fact in before:
        life.take(fact)
    agenda = life.agenda
    verdict = life.tell(replace(told, event_id="again"))
    assert (verdict.taken, verdict.known) == (False, True)
    assert verdict.reason
    assert replace(life.agenda, not_taken=agenda.not_taken) == agenda
    assert "again" in life.state.seen


@requirement("WACA-07")
@pytest.mark.parametrize("told", [PAID, DECLINED, REFUNDED, ACCEPTED, CANCELLED, ASSIGNED, MOVED, CHANGED])
def test_a_fact_told_twice_is_told_once(told: AnyBookingFact) -> None:
    """By its event id: not even the list of what was not taken grows."""
    fact = replace(told, event_id="same")
    life = two_by_card().take(fact)
    before = life.state
    verdict = life.tell(fact)
    assert (verdict.taken, verdict.known) == (False, True)
    assert life.state == before


@requirement("WACA-07")
def test_an_event_id_that_was_told_before_counts_whatever_it_says_now() -> None:
    """One id is one happening."""
    life = two_by_card().take(replace(PAID, event_id="e"))
    assert life.tell(replace(REFUNDED, event_id="e")).known
    assert life.state.payment is PaymentStatus.PAID


@requirement("WACA-07")
def test_a_refused_fact_may_be_told_again_when_the_state_allows_it() -> None:
    """Under its own event id. Taken, it is no longer listed among what was not taken."""
    life = two_by_card().take(DECLINED)
    acceptance = replace(ACCEPTED, event_id="again")
    assert not life.tell(acceptance).taken
    assert not life.tell(acceptance).taken
    assert [note.event_id for note in life.state.not_taken] == ["again"]
    life.take(PAID).take(acceptance)
    assert life.state.order is OrderStatus.ACCEPTED
    assert life.state.not_taken == ()


@requirement("WACA-07")
def test_what_a_booking_remembers_is_bounded() -> None:
    """A flood of refused facts does not make its state grow without end."""
    life = Life(booking()).take(CANCELLED)
    for number in range(REMEMBERED + 50):
        life.tell(replace(ACCEPTED, event_id=f"flood-{number}"))
    assert len(life.state.not_taken) == REMEMBERED
    assert life.state.not_taken[-1].event_id == f"flood-{REMEMBERED + 49}"


@requirement("WACA-07")
def test_an_instant_without_a_zone_is_refused_with_its_name() -> None:
    """It could be any of a day's instants. The booking goes on."""
    life = two_by_card()
    naive = datetime(2026, 3, 27, 16, 0)  # noqa: DTZ001 - this is what is refused
    for fact, field in (
        (replace(PAID, at=naive), "at:"),
        (replace(MOVED, starts_at=naive), "starts_at:"),
        (replace(MOVED, ends_at=naive), "ends_at:"),
    ):
        verdict = life.tell(fact)
        assert not verdict.taken
        assert verdict.reason.startswith(field)
    assert len(life.state.not_taken) == 3
    life.take(PAID)


@requirement("WACA-09", "WACA-34")
@pytest.mark.parametrize("request_", [Cancel(event_id="r"), MOVED, CHANGED])
def test_asking_whether_a_request_would_be_refused_changes_nothing(
    request_: Cancel | Reschedule | ChangeParticipant,
) -> None:
    """The answer is that of the request itself; what is so already is not refused."""
    life = two_by_card()
    assert refusal(life.state, request_, life.now) is None
    life.take(CANCELLED)
    reason = refusal(life.state, request_, life.now)
    known = isinstance(request_, Cancel)
    assert (reason is None) == known
    if reason is not None:
        assert life.tell(request_).reason == reason


@requirement("WACA-10")
def test_a_fact_from_the_future_counts_from_now() -> None:
    """A clock that runs ahead somewhere else does not postpone a notice."""
    life = Life(booking())
    life.take(replace(PAID, at=life.now + timedelta(days=3)))
    (done,) = life.settled(Kind.PAYMENT_RECEIVED)
    assert done.notice.due == life.now


@requirement("WACA-12")
def test_news_that_comes_more_than_a_day_late_is_missed() -> None:
    """A notice told 24 hours after it happened still goes; a second later it does not."""
    for late, status in ((timedelta(hours=24), Status.SENT), (timedelta(hours=24, seconds=1), Status.MISSED)):
        life = Life(booking()).until("2026-03-06 12:00")
        life.take(replace(PAID, at=life.now - late))
        assert [done.status for done in life.settled(Kind.PAYMENT_RECEIVED)] == [status]


@requirement("WACA-20", "WACA-39")
def test_with_sms_switched_off_everything_goes_by_email_and_says_so() -> None:
    """The SMS is left out with its reason; nothing lacks that had no SMS."""
    life = Life(booking(), shop(channels=("email",)), held=True).take(ACCEPTED).take(PAID)
    assert {notice.channels for notice in life.agenda.owed} == {EMAIL}
    off = [left for left in life.agenda.left_out if left.reason is Reason.CHANNEL_OFF]
    assert {(left.kind, left.channels) for left in off} == {
        (Kind.ORDER_PLACED, ("sms",)),
        (Kind.PAYMENT_RECEIVED, ("sms",)),
        (Kind.PRE_VISIT, ("sms",)),
    }


@requirement("WACA-20", "WACA-21")
@pytest.mark.parametrize(
    ("provider", "channels"),
    [(SmsProvider.OFF, EMAIL), (SmsProvider.TWSMS, BOTH), (SmsProvider.SMARTDOVE, BOTH)],
)
def test_sms_is_a_setting_of_the_shop(provider: SmsProvider, channels: tuple[str, ...]) -> None:
    """Off, or one of the two providers."""
    merchant = replace(MERCHANT, sms=SmsSettings(provider))
    assert booking_rules(merchant).channels == channels


def test_a_branch_in_another_zone_goes_by_its_own_clock() -> None:
    """An unknown branch, or one without a zone, goes by the merchant's."""
    zones = [booking_rules(MERCHANT, branch).zone for branch in ("berlin", "taipei", "nowhere", "")]
    assert zones == ["Europe/Berlin", "Asia/Taipei", "Asia/Taipei", "Asia/Taipei"]


@requirement("WACA-39")
def test_a_channel_without_an_address_is_left_out_and_the_other_one_goes() -> None:
    """Ben has no phone: his pre-visit notice goes by email, and the SMS says why it does not."""
    ben = replace(BEN, phone="")
    life = Life(booking(service("s1", "2026-03-20 14:00", ben))).take(ACCEPTED)
    (notice,) = life.owed(Kind.PRE_VISIT)
    assert notice.channels == EMAIL
    (left,) = (left for left in life.agenda.left_out if left.kind is Kind.PRE_VISIT)
    assert (left.key, left.channels, left.reason) == (notice.key, ("sms",), Reason.NO_ADDRESS)
    life.until("2026-03-18 10:00")
    assert life.why_not(Kind.PRE_VISIT) == []  # sent is sent: nothing is left out any more


@requirement("WACA-39")
def test_who_cannot_be_reached_at_all_is_owed_nothing_and_holds_up_nothing() -> None:
    """Left out by each channel; the booking ends as if nobody were to be told."""
    nobody = replace(BEN, email="", phone="")
    life = Life(booking(service("s1", "2026-03-20 14:00", nobody))).take(ACCEPTED)
    assert people(life.agenda.owed) == ["anna"]
    assert life.why_not(Kind.PRE_VISIT) == [Reason.NO_ADDRESS, Reason.NO_ADDRESS]
    assert life.why_not(Kind.VOUCHER) == [Reason.NO_ADDRESS]
    assert life.until("2026-03-20 15:00").agenda.over


@requirement("WACA-15")
def test_a_phone_alone_gets_no_voucher() -> None:
    """The voucher goes by email only; the pre-visit notice reaches the phone."""
    life = Life(booking(service("s1", "2026-03-20 14:00", replace(BEN, email="")))).take(ACCEPTED)
    assert life.settled(Kind.VOUCHER) == []
    assert [notice.channels for notice in life.owed(Kind.PRE_VISIT)] == [("sms",)]


def test_every_reason_is_a_sentence_for_the_administrator() -> None:
    """No reason is shown as a code."""
    for reason in Reason:
        assert " " in reason.sentence


def test_the_agenda_is_in_the_order_of_its_moments_and_names_its_lifecycle() -> None:
    """What comes first stands first."""
    life = Life(
        booking(service("s1", "2026-03-20 14:00", BEN), service("s2", "2026-03-10 14:00", BEN)), held=True
    )
    agenda = life.take(ACCEPTED).agenda
    dues = [notice.due for notice in agenda.owed]
    assert dues == sorted(dues)
    assert agenda.lifecycle == booking_workflow_id("shop", "b1") == "booking:shop:b1"
    assert all(notice.key.startswith("booking:shop:b1/") for notice in agenda.owed)
    assert agenda.zone == "Asia/Taipei"
    assert agenda.key(agenda.owed[0].key) == agenda.owed[0]
    assert agenda.key("no such key") is None
    assert dues[0] == life.now  # due now, and held up
    assert agenda.next_moment is not None
    assert agenda.next_moment > life.now


def test_nothing_is_decided_before_the_rules_are_read() -> None:
    """A state without rules answers no agenda."""
    with pytest.raises(ValueError, match="rules"):
        booking_agenda(BookingState(booking()), clock("2026-03-02 09:30"))


def test_the_rehearsal_plays_a_life_as_it_would_be_lived() -> None:
    """Facts in any order in the file; what lies after the moment asked about has not happened."""
    facts: list[AnyBookingFact] = [
        Accepted(event_id="e2", at=clock("2026-03-04 09:00")),
        PaymentReceived(event_id="e1", at=clock("2026-03-03 12:00")),
        Refunded(event_id="e3", at=clock("2026-03-19 12:00")),
    ]
    on_the_way = rehearse(booking(), shop(), facts, clock("2026-03-17 12:00"))
    assert on_the_way.stage == OrderStatus.ACCEPTED
    assert [done.notice.kind for done in on_the_way.done] == [
        Kind.ORDER_PLACED,
        Kind.PAYMENT_REMINDER,
        Kind.PAYMENT_RECEIVED,
        Kind.VOUCHER,
    ]
    assert [notice.kind for notice in on_the_way.owed] == [Kind.PRE_VISIT]
    at_the_end = rehearse(booking(), shop(), facts, clock("2026-04-01 00:00"))
    assert (at_the_end.stage, at_the_end.over) == (OrderStatus.CANCELLED, True)
    assert all(done.status is Status.SENT for done in at_the_end.done)


@requirement("WACA-36")
def test_a_rehearsal_does_not_send_into_a_time_when_the_order_had_failed() -> None:
    """Restored when the visit's moment was long past: the pre-visit notice is missed, as in the real life."""
    facts: list[AnyBookingFact] = [
        Accepted(event_id="e1", at=clock("2026-03-02 10:00")),
        PaymentFailed(event_id="e2", at=clock("2026-03-17 10:00")),
        PaymentReceived(event_id="e3", at=clock("2026-03-19 15:00")),
    ]
    life = Life(booking(by=CARD))
    for fact in facts:
        life.take(fact, fact.at)
    rehearsed = rehearse(booking(by=CARD), shop(), facts, life.now)
    assert [done.status for done in life.settled(Kind.PRE_VISIT)] == [Status.MISSED]
    assert [(d.notice.kind, d.status) for d in rehearsed.done] == [
        (d.notice.kind, d.status) for d in life.state.done
    ]


@requirement("WACA-36")
def test_a_rehearsal_sends_what_falls_due_at_its_last_moment() -> None:
    """Accepted with exactly a day left."""
    acceptance = Accepted(event_id="e1", at=clock("2026-03-19 14:00"))
    rehearsed = rehearse(booking(), shop(), [acceptance], clock("2026-03-20 15:00"))
    assert [d.status for d in rehearsed.done if d.notice.kind is Kind.PRE_VISIT] == [Status.SENT]


def test_a_rehearsal_before_the_order_has_sent_nothing() -> None:
    """Asked about a moment before the order, everything is still to come."""
    agenda = rehearse(booking(), shop(), [], clock("2026-03-01 00:00"))
    assert agenda.done == ()
    assert agenda.owed[0].kind is Kind.ORDER_PLACED


def test_a_rehearsal_without_facts_shows_what_the_calendar_does() -> None:
    """An ATM order that nobody pays: placed, reminded, failed, over."""
    agenda = rehearse(booking(by=ATM), shop(), [], clock("2026-03-08 00:00"))
    assert [done.notice.kind for done in agenda.done] == [
        Kind.ORDER_PLACED,
        Kind.PAYMENT_REMINDER,
        Kind.ORDER_FAILED,
    ]
    assert agenda.over


def test_a_fact_without_a_moment_is_told_when_the_rehearsal_is_asked() -> None:
    """As the command line's facts may be."""
    agenda = rehearse(booking(), shop(), [replace(PAID, event_id="e1")], clock("2026-03-02 12:00"))
    assert [(done.notice.kind, done.notice.due) for done in agenda.done] == [
        (Kind.ORDER_PLACED, clock("2026-03-02 09:30")),
        (Kind.PAYMENT_RECEIVED, clock("2026-03-02 12:00")),
    ]


@requirement("WACA-36")
def test_instants_mean_the_same_in_whatever_zone_they_are_written() -> None:
    """The same booking, told in UTC and with an offset: the same keys, the same moments."""
    in_taipei = [clock("2026-03-20 14:00").astimezone(tz) for tz in (UTC, ZoneInfo("Asia/Taipei"))]
    agendas = [agenda_of(Life(booking(service("s1", at, BEN))).take(ACCEPTED).agenda) for at in in_taipei]
    assert agendas[0] == agendas[1]


def agenda_of(agenda: Agenda) -> list[tuple[str, datetime | None]]:
    entries: tuple[Notice | LeftOut, ...] = (*agenda.owed, *agenda.left_out)
    return [(entry.key, entry.due) for entry in entries]


def two_by_card() -> Life:
    """An order by card: Ben on 20 March, Chloe on the 21st."""
    return Life(
        booking(
            service("s1", "2026-03-20 14:00", BEN),
            service("s2", "2026-03-21 14:00", CHLOE),
            by=CARD,
        )
    )


MERCHANT = Merchant(
    id="shop",
    name="Shop",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    branches=(Branch("berlin", "Berlin", "Europe/Berlin"), Branch("taipei", "Taipei")),
)
