"""Sessions: acceptance, partial cancel, another time, another participant, and who gives them."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from models.agenda import Reason
from models.booking import OrderStatus, PaymentStatus
from models.booking_content import booking_content
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.merchant import PaymentMethod
from models.notices import Kind
from models.people import Person
from tests.bookings import ANNA, BEN, CHLOE, DORA, EMIL, TAIPEI, Life, booking, clock, people, service
from tests.requirements import requirement

PAID = PaymentReceived(event_id="")
REFUNDED = Refunded(event_id="")
DECLINED = PaymentFailed(event_id="")


def accepted(*services: str) -> Accepted:
    return Accepted(event_id="", services=services)


def cancelled(*services: str) -> Cancelled:
    return Cancelled(event_id="", services=services)


def assigned(service_id: str, partner: Person = DORA) -> Assigned:
    return Assigned(event_id="", service=service_id, partner=partner)


def moved(service_id: str, starts: str) -> Reschedule:
    return Reschedule(event_id="", service=service_id, starts_at=clock(starts))


def changed(service_id: str, old: str, new: Person) -> ChangeParticipant:
    return ChangeParticipant(event_id="", service=service_id, participant=old, person=new)


def two_sessions(*, held: bool = False) -> Life:
    """Ben on Friday 20 March, Ben and Chloe on Saturday the 21st."""
    return Life(
        booking(service("s1", "2026-03-20 14:00", BEN), service("s2", "2026-03-21 14:00", BEN, CHLOE)),
        held=held,
    )


@requirement("WACA-15")
def test_acceptance_of_all_sends_each_participant_one_voucher() -> None:
    """By email, at once, worth sending until the last session on it starts. The booker gets none."""
    life = two_sessions().take(accepted(), "2026-03-04 11:00")
    assert life.state.order is OrderStatus.ACCEPTED
    ben, chloe = (done.notice for done in life.settled(Kind.VOUCHER))
    assert (ben.recipient, ben.about, ben.channels) == (BEN, ("s1", "s2"), ("email",))
    assert (chloe.recipient, chloe.about) == (CHLOE, ("s2",))
    assert ben.due == chloe.due == clock("2026-03-04 11:00")
    assert ben.not_after == clock("2026-03-21 14:00")
    assert life.settled(Kind.VOUCHER_CHANGED) == []


@requirement("WACA-07", "WACA-16")
def test_acceptance_in_instalments_changes_the_voucher_of_who_holds_one() -> None:
    """Some accepted is 'accepting'; with the rest Ben's voucher changes, and Chloe gets her first."""
    life = two_sessions().take(accepted("s1"))
    assert life.state.order is OrderStatus.ACCEPTING
    assert life.sent(Kind.VOUCHER) == ["ben"]
    whole = life.take(accepted("s2"), "2026-03-05 11:00").state
    assert whole.order is OrderStatus.ACCEPTED
    assert life.sent(Kind.VOUCHER) == ["ben", "chloe"]
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben"]


@requirement("WACA-15")
def test_acceptance_of_the_rest_leaves_what_was_accepted_alone() -> None:
    """'All' after 'some' is about what is still to accept."""
    life = two_sessions().take(accepted("s2")).take(accepted(), "2026-03-05 11:00")
    (change,) = (done.notice for done in life.settled(Kind.VOUCHER_CHANGED))
    assert (change.recipient, change.about) == (BEN, ("s1",))


@requirement("WACA-15")
def test_acceptance_does_not_wait_for_the_payment() -> None:
    """The merchant may accept an unpaid order: its voucher goes, and its payment is still asked for."""
    life = two_sessions().take(accepted(), "2026-03-02 10:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.ACCEPTED, PaymentStatus.UNPAID)
    assert life.until("2026-03-03 10:00").sent(Kind.PAYMENT_REMINDER) == ["anna"]


@requirement("WACA-15")
def test_a_service_named_twice_is_accepted_once() -> None:
    """And stands once on the voucher."""
    life = two_sessions().take(accepted("s1", "s1"))
    assert [done.notice.about for done in life.settled(Kind.VOUCHER)] == [("s1",)]


@requirement("WACA-15")
def test_accepted_twice_is_no_news() -> None:
    """Neither a second voucher nor a changed one."""
    life = two_sessions().take(accepted())
    assert life.tell(accepted("s1")).known
    assert life.sent(Kind.VOUCHER) == ["ben", "chloe"]
    assert life.settled(Kind.VOUCHER_CHANGED) == []


@requirement("WACA-15")
def test_a_voucher_for_a_session_that_has_begun_is_left_out() -> None:
    """The merchant accepts on the next day what took place."""
    life = Life(booking(service("s1", "2026-03-02 14:00", BEN)))
    life.take(accepted(), "2026-03-02 14:00:01")
    assert life.settled(Kind.VOUCHER) == []
    assert life.why_not(Kind.VOUCHER) == [Reason.KNOWN_TOO_LATE]
    in_its_first_second = Life(booking(service("s1", "2026-03-02 14:00", BEN)))
    assert in_its_first_second.take(accepted(), "2026-03-02 14:00").sent(Kind.VOUCHER) == ["ben"]


@requirement("WACA-10")
def test_a_service_without_participants_is_for_the_booker() -> None:
    """Who placed the order gets the voucher."""
    life = Life(booking(service("s1", "2026-03-20 14:00"))).take(accepted())
    assert life.sent(Kind.VOUCHER) == ["anna"]


@requirement("WACA-15")
def test_the_same_person_named_in_two_services_is_one_person() -> None:
    """Told apart by name and addresses where the booking system gives no ids."""
    ben = replace(BEN, id="")
    life = Life(
        booking(
            service("s1", "2026-03-20 14:00", ben, replace(CHLOE, id="")),
            service("s2", "2026-03-21 14:00", replace(ANNA, id=""), ben, ben),
            booker=replace(ANNA, id="p1"),
        )
    )
    ids = [[person.id for person in session.service.participants] for session in life.state.sessions]
    assert ids == [["p2", "p3"], ["p1", "p2"]]
    assert life.take(accepted()).sent(Kind.VOUCHER) == ["p1", "p2", "p3"]


@requirement("WACA-16")
def test_partial_cancel_tells_who_holds_a_voucher_for_it() -> None:
    """The order stands with what is left; nobody hears that the order was cancelled."""
    life = two_sessions().take(accepted()).take(cancelled("s2"), "2026-03-06 09:00")
    assert life.state.order is OrderStatus.ACCEPTED
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben", "chloe"]
    assert life.settled(Kind.ORDER_CANCELLED) == []
    assert [notice.about for notice in life.owed(Kind.PRE_VISIT)] == [("s1",)]
    assert life.why_not(Kind.PRE_VISIT) == [Reason.SESSION_CANCELLED, Reason.SESSION_CANCELLED]


@requirement("WACA-16")
def test_partial_cancel_before_acceptance_changes_no_voucher() -> None:
    """There is none."""
    life = two_sessions().take(cancelled("s2"))
    assert life.state.order is OrderStatus.PROCESSING
    assert life.settled(Kind.VOUCHER_CHANGED) == []
    assert life.take(accepted()).sent(Kind.VOUCHER) == ["ben"]


@requirement("WACA-07", "WACA-16")
def test_partial_cancel_of_what_was_not_accepted_completes_the_acceptance() -> None:
    """All that is left is accepted."""
    life = two_sessions().take(accepted("s1"))
    assert life.take(cancelled("s2")).state.order is OrderStatus.ACCEPTED


@requirement("WACA-07", "WACA-16")
def test_partial_cancel_of_all_that_was_accepted_goes_back_to_the_payment() -> None:
    """Nothing is accepted any more: a paid order is paid, an unpaid one in process."""
    life = two_sessions().take(accepted("s1")).take(cancelled("s1"))
    assert life.state.order is OrderStatus.PROCESSING
    assert life.take(PAID).state.order is OrderStatus.PAID


@requirement("WACA-16", "WACA-34")
def test_partial_cancel_of_a_paid_order_is_allowed_until_the_last_service() -> None:
    """The last one goes with the refund of the order."""
    life = two_sessions().take(PAID).take(cancelled("s1"))
    assert life.state.order is OrderStatus.PAID
    assert "refund" in life.tell(cancelled("s2")).reason
    assert life.take(REFUNDED).state.order is OrderStatus.CANCELLED


@requirement("WACA-34")
def test_the_last_service_cancelled_cancels_an_unpaid_order() -> None:
    """One by one is the same as all at once."""
    life = two_sessions().take(cancelled("s1")).take(cancelled("s2"))
    assert life.state.order is OrderStatus.CANCELLED
    assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]


@requirement("WACA-14", "WACA-16")
def test_cancelling_the_order_tells_the_booker_and_who_holds_a_voucher() -> None:
    """Each holder once, about all of their sessions."""
    life = two_sessions().take(accepted()).take(cancelled(), "2026-03-06 09:00")
    assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]
    ben, chloe = (done.notice for done in life.settled(Kind.VOUCHER_CHANGED))
    assert (ben.recipient, ben.about) == (BEN, ("s1", "s2"))
    assert (chloe.recipient, chloe.about) == (CHLOE, ("s2",))
    assert life.agenda.over


@requirement("WACA-16")
@pytest.mark.parametrize(
    ("told", "revisions"),
    [
        ([], (0, 0)),
        ([accepted()], (0, 0)),
        ([moved("s1", "2026-03-27 16:00")], (1, 0)),
        ([accepted(), moved("s1", "2026-03-27 16:00")], (1, 0)),
        ([accepted(), moved("s1", "2026-03-27 16:00"), moved("s1", "2026-03-28 16:00")], (2, 0)),
        ([changed("s1", "ben", CHLOE)], (0, 0)),  # nobody has it in a calendar yet
        ([accepted(), changed("s1", "ben", CHLOE)], (1, 0)),
        ([accepted(), cancelled("s2")], (0, 1)),
        ([accepted(), cancelled()], (1, 1)),
        ([accepted("s1"), DECLINED], (1, 0)),
        ([accepted("s1"), DECLINED, PAID], (2, 0)),
        ([accepted(), assigned("s1")], (0, 0)),
    ],
)
def test_each_change_that_a_calendar_must_see_has_a_higher_number(
    told: list[AnyBookingFact], revisions: tuple[int, int]
) -> None:
    """The number of a calendar's entry rises with each, and with nothing else."""
    life = Life(
        booking(
            service("s1", "2026-03-20 14:00", BEN),
            service("s2", "2026-03-21 14:00", BEN),
            by=PaymentMethod.CARD,
        )
    )
    for fact in told:
        life.take(fact)
    assert tuple(session.revision for session in life.state.sessions) == revisions


@requirement("WACA-15", "WACA-18")
def test_what_has_become_pointless_before_it_went_is_left_out() -> None:
    """Cancelled while the provider was down: no voucher and no assignment for a session that is off."""
    life = two_sessions(held=True)
    life.take(assigned("s2")).take(accepted()).take(cancelled("s2"))
    assert people(life.owed(Kind.VOUCHER)) == ["ben"]
    assert life.why_not(Kind.VOUCHER) == [Reason.SESSION_CANCELLED]
    assert life.why_not(Kind.SERVICE_ASSIGNMENT) == [Reason.SESSION_CANCELLED]
    life.take(cancelled("s1"))
    assert life.why_not(Kind.ORDER_PLACED) == [Reason.ORDER_CANCELLED]
    assert people(life.owed(Kind.ORDER_CANCELLED)) == ["anna"]


@requirement("WACA-15", "WACA-18")
def test_who_was_replaced_before_they_heard_of_it_is_not_told() -> None:
    """Ben's voucher and Dora's assignment are left out; Chloe and Emil hear."""
    life = Life(booking(), held=True).take(accepted()).take(assigned("s1", DORA))
    life.take(changed("s1", "ben", CHLOE)).take(assigned("s1", EMIL))
    assert life.owed(Kind.VOUCHER) == []
    assert life.why_not(Kind.VOUCHER) == [Reason.REPLACED]
    assert people(life.owed(Kind.SERVICE_ASSIGNMENT)) == ["emil"]
    assert life.why_not(Kind.SERVICE_ASSIGNMENT) == [Reason.REPLACED]


@requirement("WACA-16")
def test_a_move_before_acceptance_changes_no_voucher() -> None:
    """The voucher is then of the new time."""
    life = two_sessions().take(moved("s1", "2026-03-27 16:00"))
    assert life.settled(Kind.VOUCHER_CHANGED) == []
    session = life.take(accepted()).state.sessions[0]
    assert session.service.starts_at == clock("2026-03-27 16:00")
    assert session.service.ends_at == clock("2026-03-27 17:00")  # it lasts as long as before


@requirement("WACA-16")
def test_a_move_after_acceptance_tells_its_participants_and_its_service_partner() -> None:
    """Chloe has no part in it."""
    life = two_sessions().take(accepted()).take(assigned("s1"))
    life.take(moved("s1", "2026-03-27 16:00"), "2026-03-06 09:00")
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben"]
    assert life.sent(Kind.SERVICE_ASSIGNMENT) == ["dora", "dora"]
    assert [notice.due for notice in life.owed(Kind.PRE_VISIT) if notice.about == ("s1",)] == [
        clock("2026-03-25 10:00")
    ]


@requirement("WACA-17", "WACA-36")
def test_a_move_after_the_pre_visit_notice_has_another_pre_visit_notice() -> None:
    """It is another visit. Moved back again it is the visit that was told."""
    life = Life(booking()).take(accepted()).until("2026-03-18 12:00")
    assert life.sent(Kind.PRE_VISIT) == ["ben"]
    life.take(moved("s1", "2026-03-27 16:00"))
    assert [notice.due for notice in life.owed(Kind.PRE_VISIT)] == [clock("2026-03-25 10:00")]
    life.take(moved("s1", "2026-03-20 14:00"))
    assert life.owed(Kind.PRE_VISIT) == []
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben", "ben"]


@requirement("WACA-36")
def test_a_visit_is_the_same_in_whatever_zone_its_time_is_written() -> None:
    """Only its end moves, told with an offset of +08:00: no second pre-visit notice."""
    life = Life(booking()).take(accepted()).until("2026-03-18 12:00")
    taipei = clock("2026-03-20 14:00").astimezone(ZoneInfo(TAIPEI))
    life.take(Reschedule(event_id="", service="s1", starts_at=taipei, ends_at=taipei + timedelta(hours=2)))
    assert life.until("2026-03-20 16:00").sent(Kind.PRE_VISIT) == ["ben"]


@requirement("WACA-36")
@pytest.mark.parametrize(
    ("starts", "owed"),
    [
        ("2026-03-20 10:00", True),  # exactly a day ahead: at once
        ("2026-03-20 09:59:59", False),
    ],
)
def test_a_move_to_a_time_near_by_is_told_at_once_while_a_day_remains(starts: str, owed: bool) -> None:
    """Later, the voucher-changed notice has to do."""
    life = Life(booking(service("s1", "2026-03-28 14:00", BEN))).take(accepted())
    life.take(moved("s1", starts), "2026-03-19 10:00")
    assert life.sent(Kind.PRE_VISIT) == (["ben"] if owed else [])
    assert life.why_not(Kind.PRE_VISIT) == ([] if owed else [Reason.KNOWN_TOO_LATE])
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben"]


@requirement("WACA-09")
def test_before_acceptance_the_participant_changes_silently() -> None:
    """The voucher then goes to the new one alone."""
    life = Life(booking()).take(changed("s1", "ben", CHLOE), "2026-03-04 09:00")
    assert life.settled(Kind.VOUCHER_CHANGED) == []
    assert life.take(accepted()).sent(Kind.VOUCHER) == ["chloe"]


@requirement("WACA-09", "WACA-16")
def test_after_acceptance_both_hear_of_a_change_of_participant() -> None:
    """Who gives the place up, and who takes it; what is still to come goes to the new one."""
    life = Life(booking()).take(accepted()).take(changed("s1", "ben", CHLOE), "2026-03-04 09:00")
    assert sorted(life.sent(Kind.VOUCHER_CHANGED)) == ["ben", "chloe"]
    assert people(life.owed(Kind.PRE_VISIT)) == ["chloe"]
    assert sorted(life.take(cancelled()).sent(Kind.VOUCHER_CHANGED)) == ["ben", "chloe", "chloe"]


@requirement("WACA-09")
def test_what_they_read_fits_who_they_are() -> None:
    """Ben's session is gone, Chloe's is on, with a number of her own."""
    life = Life(booking()).take(accepted())
    life.held = True
    life.take(changed("s1", "ben", CHLOE))
    told = {
        notice.recipient.id: booking_content(life.state, notice) for notice in life.owed(Kind.VOUCHER_CHANGED)
    }
    assert [view.id for view in told["ben"].gone] == ["s1"]
    assert told["ben"].sessions == ()
    assert [view.id for view in told["chloe"].sessions] == ["s1"]
    assert (told["ben"].voucher, told["chloe"].voucher) == ("b1-ben", "b1-chloe")


@requirement("WACA-09")
def test_a_new_participant_without_an_id_gets_one_that_nobody_has_or_had() -> None:
    """Also not that of someone who gave up their place."""
    life = Life(booking(service("s1", "2026-03-20 14:00", replace(BEN, id="")))).take(accepted())
    life.take(changed("s1", "p1", replace(CHLOE, id="")))
    life.take(changed("s1", "p2", replace(DORA, id="")))
    assert [person.id for person in life.state.sessions[0].service.participants] == ["p3"]
    assert life.sent(Kind.VOUCHER_CHANGED) == ["p1", "p2", "p2", "p3"]


@requirement("WACA-09")
def test_a_new_participant_whom_the_booking_knows_is_that_person() -> None:
    """Chloe takes Ben's place in a second session: one Chloe, not two."""
    life = two_sessions().take(accepted()).take(changed("s1", "ben", replace(CHLOE, id="")))
    assert [person.id for person in life.state.sessions[0].service.participants] == ["chloe"]


@requirement("WACA-09")
def test_who_takes_part_already_cannot_take_another_place_of_the_same_session() -> None:
    """By id, and by name and addresses."""
    life = two_sessions()
    for chloe in (CHLOE, replace(CHLOE, id="")):
        verdict = life.tell(changed("s2", "ben", chloe))
        assert not verdict.taken
        assert "already" in verdict.reason
    assert life.tell(changed("s2", "ben", BEN)).known


@requirement("WACA-09")
def test_a_corrected_address_is_told_once_and_at_the_new_address() -> None:
    """The same id is the same person: one notice, not one for the old Ben and one for the new."""
    ben = replace(BEN, email="benjamin@example.com")
    life = Life(booking()).take(accepted())
    life.held = True
    life.take(changed("s1", "ben", ben))
    assert [notice.recipient for notice in life.owed(Kind.VOUCHER_CHANGED)] == [ben]
    assert [notice.recipient for notice in life.owed(Kind.PRE_VISIT)] == [ben]


@requirement("WACA-16")
def test_who_is_written_differently_in_two_services_is_still_told_once_of_both() -> None:
    """One key is owed once."""
    other = replace(BEN, email="benjamin@example.com")
    life = Life(booking(service("s1", "2026-03-20 14:00", BEN), service("s2", "2026-03-21 14:00", other)))
    life.take(accepted()).take(cancelled())
    assert life.sent(Kind.VOUCHER) == ["ben"]
    (change,) = (done.notice for done in life.settled(Kind.VOUCHER_CHANGED))
    assert change.about == ("s1", "s2")


@requirement("WACA-09", "WACA-36")
def test_a_new_participant_gets_the_pre_visit_notice_that_the_others_had() -> None:
    """At once while a day remains; nobody gets it twice."""
    life = two_sessions().take(accepted()).until("2026-03-19 12:00")
    assert life.sent(Kind.PRE_VISIT) == ["ben", "ben", "chloe"]
    life.take(changed("s2", "ben", EMIL), "2026-03-20 13:00")
    assert life.sent(Kind.PRE_VISIT) == ["ben", "ben", "chloe", "emil"]
    assert life.settled(Kind.PRE_VISIT)[-1].notice.due == clock("2026-03-20 13:00")


@requirement("WACA-18")
def test_an_assignment_after_acceptance_tells_the_service_partner_at_once() -> None:
    """By email, worth sending until the session starts."""
    life = two_sessions().take(accepted()).take(assigned("s1"), "2026-03-05 09:00")
    (done,) = life.settled(Kind.SERVICE_ASSIGNMENT)
    assert (done.notice.recipient, done.notice.channels) == (DORA, ("email",))
    assert done.notice.due == clock("2026-03-05 09:00")
    assert done.notice.not_after == clock("2026-03-20 14:00")
    assert done.notice.about == ("s1",)


@requirement("WACA-18")
def test_an_assignment_before_acceptance_is_told_with_the_acceptance() -> None:
    """Nothing is certain before; the last one assigned is the one who hears of it."""
    life = two_sessions().take(assigned("s1", EMIL)).take(assigned("s1", DORA))
    assert life.settled(Kind.SERVICE_ASSIGNMENT) == []
    life.take(accepted("s2"))
    assert life.settled(Kind.SERVICE_ASSIGNMENT) == []
    assert life.take(accepted("s1")).sent(Kind.SERVICE_ASSIGNMENT) == ["dora"]


@requirement("WACA-18")
def test_one_partner_of_two_sessions_hears_of_each() -> None:
    """Two sessions accepted at once are two assignments."""
    life = two_sessions().take(assigned("s1")).take(assigned("s2")).take(accepted())
    assert [done.notice.about for done in life.settled(Kind.SERVICE_ASSIGNMENT)] == [("s1",), ("s2",)]


@requirement("WACA-18")
def test_another_partner_is_told_and_the_same_one_is_no_news() -> None:
    """A second assignment of the same person changes nothing."""
    life = two_sessions().take(accepted()).take(assigned("s1", DORA)).take(assigned("s1", EMIL))
    assert life.sent(Kind.SERVICE_ASSIGNMENT) == ["dora", "emil"]
    assert life.tell(assigned("s1", EMIL)).known


@requirement("WACA-07")
@pytest.mark.parametrize(
    ("told", "words"),
    [
        (accepted("s9"), "'s9'"),
        (accepted("s2"), "'s2' is cancelled"),
        (assigned("s9"), "'s1', 's2'"),
        (assigned("s1", Person("")), "partner"),
        (cancelled("s1", "s2"), "'s2' is cancelled"),
        (cancelled("s2", "s9"), "'s2' is cancelled"),
        (moved("s1", "2026-03-01 09:00"), "past"),
        (moved("s1", "2026-03-02 09:30"), "past"),
        (replace(moved("s1", "2026-03-30 14:00"), ends_at=clock("2026-03-30 14:00")), "ends_at"),
        (moved("s2", "2026-03-30 14:00"), "'s2' is cancelled"),
        (changed("s1", "nobody", EMIL), "'ben'"),
        (changed("s1", "ben", Person("")), "person"),
    ],
)
def test_what_does_not_fit_the_order_is_refused_with_the_name_of_what_is_wrong(
    told: AnyBookingFact, words: str
) -> None:
    """And changes nothing but the list of what was not taken."""
    life = two_sessions().take(cancelled("s2"))
    before = life.state
    verdict = life.tell(told)
    assert (verdict.taken, verdict.known) == (False, False)
    assert words in verdict.reason
    assert replace(life.state, not_taken=before.not_taken) == before
    assert life.state.not_taken[-1].reason == verdict.reason


@requirement("WACA-09")
@pytest.mark.parametrize("told", [moved("s1", "2026-03-28 14:00"), changed("s1", "ben", CHLOE)])
def test_a_session_that_has_begun_changes_no_more(told: AnyBookingFact) -> None:
    """From its first second on."""
    life = two_sessions().take(accepted())
    assert "begun" in life.tell(told, "2026-03-20 14:00").reason
