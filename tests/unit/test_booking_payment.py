"""Money: deadlines, reminders, failure, refund; who hears of it and when."""

from datetime import timedelta

import pytest

from models.agenda import Reason, Status
from models.booking import Failure, OrderStatus, PaymentStatus, payment_deadline
from models.booking_facts import (
    Accepted,
    Cancel,
    Cancelled,
    PaymentFailed,
    PaymentReceived,
    Refunded,
)
from models.booking_record import begin, record
from models.merchant import BookingPolicy, PaymentMethod
from models.notices import Kind
from models.timing import Offset
from tests.bookings import ANNA, BEN, CHLOE, Life, booking, clock, service, shop
from tests.requirements import requirement

SECOND = timedelta(seconds=1)
PAID = PaymentReceived(event_id="")
DECLINED = PaymentFailed(event_id="")
REFUNDED = Refunded(event_id="")
ACCEPTED = Accepted(event_id="")

# Of an order of Monday 2 March: the last second for payment, and the moment of the reminder.
DEADLINES = {
    PaymentMethod.BANK_TRANSFER: ("2026-03-04 23:59:59", "2026-03-03 10:00"),
    PaymentMethod.ATM: ("2026-03-04 23:59:59", "2026-03-03 10:00"),
    PaymentMethod.BARCODE: ("2026-03-05 23:59:59", "2026-03-04 10:00"),
    PaymentMethod.IBON: ("2026-03-04 23:59:59", "2026-03-03 10:00"),
    PaymentMethod.FAMIPORT: ("2026-03-04 23:59:59", "2026-03-03 10:00"),
}
BY_A_COMPANY = (PaymentMethod.ATM, PaymentMethod.BARCODE, PaymentMethod.IBON, PaymentMethod.FAMIPORT)

# Zone, the order's moment, the deadline (N+2) and the reminder, all by the clock of the shop; then in UTC.
AROUND_CLOCK_CHANGES = [
    ("Europe/Berlin", "2026-03-27 12:00", "2026-03-29T21:59:59", "2026-03-28T09:00:00"),  # the day itself
    ("Europe/Berlin", "2026-03-28 12:00", "2026-03-30T21:59:59", "2026-03-29T08:00:00"),
    ("Europe/Berlin", "2026-10-24 12:00", "2026-10-26T22:59:59", "2026-10-25T09:00:00"),
    ("America/New_York", "2026-03-06 23:59:59", "2026-03-09T03:59:59", "2026-03-07T15:00:00"),
    ("America/New_York", "2026-10-31 00:00", "2026-11-03T04:59:59", "2026-11-01T15:00:00"),
    ("America/Santiago", "2026-09-04 12:00", "2026-09-07T02:59:59", "2026-09-05T14:00:00"),  # no midnight
    (
        "America/Santiago",
        "2026-04-02 12:00",
        "2026-04-05T03:59:59",
        "2026-04-03T13:00:00",
    ),  # 23:30 twice
    ("Asia/Kathmandu", "2026-03-02 00:00", "2026-03-04T18:14:59", "2026-03-03T04:15:00"),
    ("Pacific/Kiritimati", "2026-03-02 00:00", "2026-03-04T09:59:59", "2026-03-02T20:00:00"),
    ("Pacific/Pago_Pago", "2026-03-02 23:59:59", "2026-03-05T10:59:59", "2026-03-03T21:00:00"),
]


@requirement("WACA-33")
@pytest.mark.parametrize("hour", ["00:00:00", "09:30:00", "23:59:59"])
@pytest.mark.parametrize("method", DEADLINES)
def test_the_last_second_for_payment_is_the_end_of_the_last_day(method: PaymentMethod, hour: str) -> None:
    """Day N+2, or N+3 for the barcode, until its end, whatever the hour of the order on day N."""
    state = begin(booking(by=method, ordered=f"2026-03-02 {hour}"), shop())
    assert payment_deadline(state) == clock(DEADLINES[method][0])


@requirement("WACA-13", "WACA-33")
@pytest.mark.parametrize("hour", ["00:00:00", "09:30:00", "23:59:59"])
@pytest.mark.parametrize("method", DEADLINES)
def test_an_unpaid_order_is_reminded_at_ten_on_the_day_before_the_deadline(
    method: PaymentMethod, hour: str
) -> None:
    """To the booker, by email and SMS, and worth telling until the deadline."""
    life = Life(booking(by=method, ordered=f"2026-03-02 {hour}"))
    deadline, reminder = map(clock, DEADLINES[method])
    (notice,) = life.owed(Kind.PAYMENT_REMINDER)
    assert (notice.due, notice.not_after) == (reminder, deadline)
    assert (notice.recipient, notice.channels) == (ANNA, ("email", "sms"))
    assert life.until(reminder - SECOND).sent(Kind.PAYMENT_REMINDER) == []
    assert life.until(reminder).sent(Kind.PAYMENT_REMINDER) == ["anna"]


@requirement("WACA-33")
@pytest.mark.parametrize(("zone", "ordered", "deadline", "reminder"), AROUND_CLOCK_CHANGES)
def test_deadline_and_reminder_follow_the_clock_of_the_shop(
    zone: str, ordered: str, deadline: str, reminder: str
) -> None:
    """Also over a change of the clocks, and where midnight is missing or comes twice."""
    life = Life(booking(by=PaymentMethod.ATM, ordered=ordered, zone=zone), zone=zone)
    (notice,) = life.owed(Kind.PAYMENT_REMINDER)
    assert notice.due == clock(reminder, "UTC")
    assert notice.not_after == payment_deadline(life.state) == clock(deadline, "UTC")


@requirement("WACA-33")
@pytest.mark.parametrize(
    ("method", "reason"),
    [(PaymentMethod.IN_PERSON, Reason.PAID_IN_PERSON), (PaymentMethod.CARD, Reason.NO_DEADLINE)],
)
def test_payment_in_person_and_by_card_have_no_deadline_and_no_reminder(
    method: PaymentMethod, reason: Reason
) -> None:
    """It is left out with its reason, and no day makes the order fail."""
    life = Life(booking(by=method))
    assert payment_deadline(life.state) is None
    assert life.why_not(Kind.PAYMENT_REMINDER) == [reason]
    life.until("2026-03-19 00:00")
    assert life.state.order is OrderStatus.PROCESSING
    assert life.settled(Kind.PAYMENT_REMINDER) == []


@requirement("WACA-33")
def test_payment_in_person_gets_no_reminder_even_with_days_set_for_it() -> None:
    """The rule is about the method; the merchant's numbers do not touch it."""
    rules = shop(policy=BookingPolicy(payment_days={PaymentMethod.IN_PERSON: 2}))
    life = Life(booking(by=PaymentMethod.IN_PERSON), rules)
    assert life.owed(Kind.PAYMENT_REMINDER) == []
    assert life.until("2026-03-06 00:00").state.order is OrderStatus.PROCESSING


@requirement("WACA-33")
def test_the_numbers_are_the_merchants() -> None:
    """Another last day, another day and hour of the reminder."""
    policy = BookingPolicy(
        payment_days={PaymentMethod.ATM: 7}, payment_reminder=Offset(-2, clock("2026-01-01 18:45").time())
    )
    (notice,) = Life(booking(by=PaymentMethod.ATM), shop(policy=policy)).owed(Kind.PAYMENT_REMINDER)
    assert notice.due == clock("2026-03-07 10:45")  # 18:45 at the shop is 10:45 in UTC
    assert notice.not_after == clock("2026-03-09 23:59:59")


@requirement("WACA-33")
def test_an_order_that_came_after_the_moment_of_its_reminder_gets_none() -> None:
    """A policy of one day: an order at 09:59 is still reminded at 10:00, one at 10:00 is not."""
    rules = shop(policy=BookingPolicy(payment_days={PaymentMethod.ATM: 1}))
    early = Life(booking(by=PaymentMethod.ATM, ordered="2026-03-02 09:59:59"), rules)
    late = Life(booking(by=PaymentMethod.ATM, ordered="2026-03-02 10:00:00"), rules)
    assert [notice.due for notice in early.owed(Kind.PAYMENT_REMINDER)] == [clock("2026-03-02 10:00")]
    assert late.why_not(Kind.PAYMENT_REMINDER) == [Reason.ORDERED_TOO_LATE]


@requirement("WACA-13")
def test_a_paid_order_is_not_reminded() -> None:
    """Not from the second of the payment on."""
    life = Life(booking()).take(PAID, "2026-03-03 09:59:59")
    assert life.why_not(Kind.PAYMENT_REMINDER) == [Reason.ALREADY_PAID]
    assert life.until("2026-03-20 16:00").settled(Kind.PAYMENT_REMINDER) == []


@requirement("WACA-13")
def test_a_reminder_not_sent_before_the_deadline_is_missed_not_late() -> None:
    """The outage ends after the deadline: the reminder is reported, the booker is spared it."""
    life = Life(booking())
    life.held = True
    life.until("2026-03-05 00:00:00").release()
    assert [done.status for done in life.settled(Kind.PAYMENT_REMINDER)] == [Status.MISSED]


@requirement("WACA-12", "WACA-32")
def test_a_payment_is_told_to_the_booker_when_it_is_reconciled() -> None:
    """By email and SMS, at once, worth telling for a day."""
    life = Life(booking(service("s1", "2026-03-20 14:00", BEN))).take(PAID, "2026-03-02 15:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.PAID, PaymentStatus.PAID)
    (done,) = life.settled(Kind.PAYMENT_RECEIVED)
    assert done.notice.recipient == ANNA
    assert done.notice.channels == ("email", "sms")
    assert done.notice.due == clock("2026-03-02 15:00")
    assert done.notice.not_after == clock("2026-03-03 15:00")


@requirement("WACA-11", "WACA-31")
@pytest.mark.parametrize("method", BY_A_COMPANY)
def test_unpaid_at_its_deadline_an_order_through_a_third_party_fails(method: PaymentMethod) -> None:
    """Not in its last second, but when that is over; the booker hears of it by email and SMS."""
    life = Life(booking(by=method))
    deadline = clock(DEADLINES[method][0])
    life.until(deadline + timedelta(microseconds=999_999))
    assert life.state.order is OrderStatus.PROCESSING
    assert life.agenda.next_moment == deadline + SECOND
    life.until(deadline + SECOND)
    assert (life.state.order, life.state.payment) == (OrderStatus.FAILED, PaymentStatus.UNPAID)
    assert life.state.failure is Failure.DEADLINE
    (done,) = life.settled(Kind.ORDER_FAILED)
    assert (done.notice.recipient, done.notice.channels) == (ANNA, ("email", "sms"))


@requirement("WACA-31")
def test_a_bank_transfer_stays_unpaid_until_the_merchant_acts() -> None:
    """No failure at the deadline, and a payment after it is taken."""
    life = Life(booking(by=PaymentMethod.BANK_TRANSFER)).until("2026-03-10 12:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.PROCESSING, PaymentStatus.UNPAID)
    life.take(PAID)
    assert life.sent(Kind.PAYMENT_RECEIVED) == ["anna"]


@requirement("WACA-31")
def test_a_merchant_says_by_which_methods_an_unpaid_order_fails() -> None:
    """Its own list in place of ours: a bank transfer that fails, and a code that waits."""
    rules = shop(policy=BookingPolicy(fails_unpaid=(PaymentMethod.BANK_TRANSFER,)))
    transfer = Life(booking(by=PaymentMethod.BANK_TRANSFER), rules).until("2026-03-10 12:00")
    assert (transfer.state.order, transfer.state.failure) == (OrderStatus.FAILED, Failure.DEADLINE)
    code = Life(booking(by=PaymentMethod.ATM), rules).until("2026-03-10 12:00")
    assert code.state.order is OrderStatus.PROCESSING


@requirement("WACA-31")
def test_a_payment_in_the_last_second_is_in_time() -> None:
    """23:59:59.9 is still the last day."""
    life = Life(booking(by=PaymentMethod.ATM))
    life.take(PAID, clock("2026-03-04 23:59:59") + timedelta(milliseconds=900))
    assert life.until("2026-03-05 12:00").state.order is OrderStatus.PAID
    assert life.settled(Kind.ORDER_FAILED) == []


@requirement("WACA-31")
def test_a_payment_made_when_the_last_second_is_over_is_refused() -> None:
    """The money is there, the order is not: the reason says what to do."""
    life = Life(booking(by=PaymentMethod.ATM))
    verdict = life.tell(PAID, "2026-03-05 00:00:00")
    assert not verdict.taken
    assert "deadline" in verdict.reason
    assert "refund" in verdict.reason
    assert (life.state.order, life.state.payment) == (OrderStatus.FAILED, PaymentStatus.UNPAID)


@requirement("WACA-31")
def test_a_payment_made_in_time_but_told_late_restores_the_order() -> None:
    """The booker hears that it failed, then that the money is there."""
    life = Life(booking(by=PaymentMethod.ATM)).until("2026-03-06 08:00")
    assert life.sent(Kind.ORDER_FAILED) == ["anna"]
    life.take(PaymentReceived(event_id="", at=clock("2026-03-04 23:59:59")))
    assert (life.state.order, life.state.payment) == (OrderStatus.PAID, PaymentStatus.PAID)
    assert life.state.failure is None
    (done,) = life.settled(Kind.PAYMENT_RECEIVED)
    assert done.notice.not_after == clock("2026-03-05 23:59:59")
    assert done.status is Status.MISSED  # more than a day after it happened it is no news any more


@requirement("WACA-31")
def test_a_failure_that_nobody_heard_of_is_not_told_after_the_order_is_restored() -> None:
    """It is left out, with the reason; the payment is told."""
    life = Life(booking(by=PaymentMethod.ATM))
    life.held = True
    life.until("2026-03-05 08:00").take(PaymentReceived(event_id="", at=clock("2026-03-04 20:00")))
    assert life.why_not(Kind.ORDER_FAILED) == [Reason.ORDER_RESTORED]
    life.release()
    assert (life.sent(Kind.ORDER_FAILED), life.sent(Kind.PAYMENT_RECEIVED)) == ([], ["anna"])


@requirement("WACA-31")
def test_a_failed_order_waits_three_days_for_a_payment_that_was_in_time() -> None:
    """Then it is over, and stays over."""
    life = Life(booking(by=PaymentMethod.ATM)).until("2026-03-07 23:59:58")
    assert not life.agenda.over
    assert life.agenda.next_moment == clock("2026-03-07 23:59:59")
    assert life.until("2026-03-07 23:59:59").agenda.over
    assert life.agenda.next_moment is None
    assert life.until("2026-04-01 00:00").agenda.over


@requirement("WACA-31")
def test_what_happened_before_the_deadline_is_judged_as_of_then() -> None:
    """Told at once after an outage over the deadline: the acceptance was in time, the payment was not."""
    state, now = begin(booking(by=PaymentMethod.ATM), shop()), clock("2026-03-05 09:00")
    state, verdict = record(state, Accepted(event_id="e1", at=clock("2026-03-04 12:00")), now)
    assert verdict.taken
    state, verdict = record(state, PaymentReceived(event_id="e2", at=clock("2026-03-05 08:00")), now)
    assert not verdict.taken
    assert state.order is OrderStatus.FAILED


@requirement("WACA-31")
def test_a_restored_order_lives_on_until_its_session_is_over() -> None:
    """The three days of its failure are forgotten."""
    life = Life(booking(by=PaymentMethod.CARD)).take(DECLINED).take(PAID)
    assert not life.until("2026-03-20 14:59:59").agenda.over
    assert life.until("2026-03-20 15:00").agenda.over


@requirement("WACA-13")
def test_a_reminder_that_is_still_owed_keeps_the_booking_alive() -> None:
    """A service on day N+1 at eight, a bank transfer reminded at ten."""
    life = Life(booking(service("s1", "2026-03-03 08:00", BEN))).until("2026-03-03 09:59:59")
    assert not life.agenda.over
    assert life.until("2026-03-03 10:00").sent(Kind.PAYMENT_REMINDER) == ["anna"]
    assert life.agenda.over


@requirement("WACA-31")
def test_an_order_lives_until_its_deadline_though_its_session_is_over_before() -> None:
    """A service on day N+1, paid for by ATM until N+2: the failure and the payment are still told."""
    tomorrow = service("s1", "2026-03-03 08:00", BEN)
    unpaid = Life(booking(tomorrow, by=PaymentMethod.ATM)).until("2026-03-04 12:00")
    assert not unpaid.agenda.over
    assert unpaid.until("2026-03-05 00:00:00").sent(Kind.ORDER_FAILED) == ["anna"]
    paid = Life(booking(tomorrow, by=PaymentMethod.ATM)).take(PAID, "2026-03-04 12:00")
    assert paid.sent(Kind.PAYMENT_RECEIVED) == ["anna"]
    assert paid.agenda.over


@requirement("WACA-31")
def test_a_declined_card_fails_the_order() -> None:
    """At once, by email and SMS to the booker; nothing of the calendar is owed any more."""
    life = Life(booking(by=PaymentMethod.CARD)).take(ACCEPTED).take(DECLINED, "2026-03-02 09:31")
    assert (life.state.order, life.state.payment) == (OrderStatus.FAILED, PaymentStatus.UNPAID)
    assert life.state.failure is Failure.CARD
    assert life.sent(Kind.ORDER_FAILED) == ["anna"]
    assert life.why_not(Kind.PRE_VISIT) == [Reason.ORDER_FAILED]


@requirement("WACA-31")
def test_a_second_attempt_that_succeeds_restores_an_order_whose_card_was_declined() -> None:
    """The calendar is owed again."""
    life = Life(booking(by=PaymentMethod.CARD)).take(ACCEPTED).take(DECLINED, "2026-03-02 09:31")
    life.take(PAID, "2026-03-02 09:40")
    assert (life.state.order, life.state.payment) == (OrderStatus.ACCEPTED, PaymentStatus.PAID)
    assert life.sent(Kind.PAYMENT_RECEIVED) == ["anna"]
    assert [notice.due for notice in life.owed(Kind.PRE_VISIT)] == [clock("2026-03-18 10:00")]


@requirement("WACA-16", "WACA-31")
def test_who_holds_a_voucher_hears_that_the_order_failed_and_that_it_is_on_again() -> None:
    """Ben's session was accepted, Chloe's not: only Ben has something to forget."""
    two = booking(
        service("s1", "2026-03-20 14:00", BEN),
        service("s2", "2026-03-20 14:00", CHLOE),
        by=PaymentMethod.CARD,
    )
    life = Life(two).take(Accepted(event_id="", services=("s1",))).take(DECLINED)
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben"]
    life.take(PAID)
    assert life.sent(Kind.VOUCHER_CHANGED) == ["ben", "ben"]


@requirement("WACA-31")
@pytest.mark.parametrize("method", [PaymentMethod.BANK_TRANSFER, PaymentMethod.IN_PERSON])
def test_a_payment_that_is_the_merchants_to_settle_cannot_fail(method: PaymentMethod) -> None:
    """Only an order through a third party fails."""
    life = Life(booking(by=method))
    assert method in life.tell(DECLINED).reason
    assert life.state.order is OrderStatus.PROCESSING


@requirement("WACA-31")
def test_the_failure_of_an_earlier_attempt_told_after_the_payment_changes_nothing() -> None:
    """The payment company's messages came in the wrong order."""
    life = Life(booking(by=PaymentMethod.CARD)).take(PAID, "2026-03-02 09:40")
    verdict = life.tell(PaymentFailed(event_id="", at=clock("2026-03-02 09:31")))
    assert (verdict.taken, verdict.known) == (False, False)
    assert life.state.order is OrderStatus.PAID
    assert life.settled(Kind.ORDER_FAILED) == []


@requirement("WACA-14", "WACA-34")
@pytest.mark.parametrize("told", [Cancelled(event_id=""), Cancel(event_id="")], ids=["fact", "request"])
def test_before_payment_the_customer_cancels(told: Cancelled | Cancel) -> None:
    """The booker hears that it succeeded, by email and SMS; the order is over with that."""
    life = Life(booking()).take(told, "2026-03-02 12:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.CANCELLED, PaymentStatus.UNPAID)
    (done,) = life.settled(Kind.ORDER_CANCELLED)
    assert (done.notice.recipient, done.notice.channels) == (ANNA, ("email", "sms"))
    assert done.notice.not_after == clock("2026-03-20 14:00")  # who does not know would come
    assert life.why_not(Kind.PAYMENT_REMINDER) == [Reason.ORDER_CANCELLED]
    assert life.agenda.over


@requirement("WACA-34")
@pytest.mark.parametrize("told", [Cancelled(event_id=""), Cancel(event_id="")], ids=["fact", "request"])
def test_after_payment_a_cancellation_is_refused_and_names_the_refund(told: Cancelled | Cancel) -> None:
    """The merchant finishes the refund; that cancels."""
    life = Life(booking()).take(PAID)
    verdict = life.tell(told)
    assert (verdict.taken, verdict.known) == (False, False)
    assert "refund" in verdict.reason
    assert (life.state.order, life.state.payment) == (OrderStatus.PAID, PaymentStatus.PAID)


@requirement("WACA-14", "WACA-34")
def test_a_refund_cancels_the_order() -> None:
    """By itself: nobody has to cancel as well."""
    life = Life(booking()).take(PAID).take(REFUNDED, "2026-03-05 12:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]
    assert life.agenda.over


@requirement("WACA-12", "WACA-34")
def test_a_payment_that_nobody_heard_of_is_not_told_after_its_refund() -> None:
    """Nor is the order that is off: only that it is cancelled."""
    life = Life(booking(), held=True).take(PAID).take(REFUNDED, "2026-03-02 12:00")
    assert life.why_not(Kind.PAYMENT_RECEIVED) == [Reason.ORDER_CANCELLED]
    assert life.why_not(Kind.ORDER_PLACED) == [Reason.ORDER_CANCELLED]
    assert [notice.kind for notice in life.agenda.owed] == [Kind.ORDER_CANCELLED]


@requirement("WACA-34")
def test_a_refund_told_before_its_payment_cancels_and_the_payment_is_no_news() -> None:
    """Nobody hears of a payment that is back already."""
    life = Life(booking()).take(REFUNDED, "2026-03-05 12:00")
    assert (life.state.order, life.state.payment) == (OrderStatus.CANCELLED, PaymentStatus.REFUNDED)
    verdict = life.tell(PaymentReceived(event_id="", at=clock("2026-03-03 12:00")))
    assert (verdict.taken, verdict.known) == (False, True)
    assert life.settled(Kind.PAYMENT_RECEIVED) == []
    assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]


@requirement("WACA-34")
def test_a_refund_of_a_failed_order_cancels_it() -> None:
    """The money came too late, was refunded, and the failure that nobody heard of is not told any more."""
    life = Life(booking(by=PaymentMethod.ATM))
    life.held = True
    life.until("2026-03-05 08:00").take(REFUNDED)
    assert (life.state.order, life.state.payment) == (OrderStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert life.why_not(Kind.ORDER_FAILED) == [Reason.ORDER_CANCELLED]
    assert life.release().sent(Kind.ORDER_CANCELLED) == ["anna"]


@requirement("WACA-34")
def test_cancelled_twice_is_told_once() -> None:
    """The second time is no news, also under another event id."""
    life = Life(booking()).take(Cancelled(event_id="c1"))
    assert life.tell(Cancelled(event_id="c1")).known
    assert life.tell(Cancelled(event_id="c2")).known
    assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]


@requirement("WACA-34")
def test_a_payment_for_a_cancelled_order_is_refused_with_what_to_do() -> None:
    """The order stays cancelled; nobody is told that the service will be arranged."""
    life = Life(booking()).take(Cancelled(event_id=""))
    assert "refund" in life.tell(PAID).reason
    assert (life.state.order, life.state.payment) == (OrderStatus.CANCELLED, PaymentStatus.UNPAID)
    assert life.settled(Kind.PAYMENT_RECEIVED) == []


@requirement("WACA-12")
def test_paid_after_acceptance_the_order_stays_accepted() -> None:
    """The two statuses are linked, but each is its own."""
    life = Life(booking()).take(ACCEPTED).take(PAID)
    assert (life.state.order, life.state.payment) == (OrderStatus.ACCEPTED, PaymentStatus.PAID)
    assert life.sent(Kind.PAYMENT_RECEIVED) == ["anna"]


@requirement("WACA-31")
@pytest.mark.parametrize("method", [method for method in PaymentMethod if method is not PaymentMethod.CARD])
def test_only_a_card_is_declined(method: PaymentMethod) -> None:
    """A failed try at a code or a transfer ends nothing: the order waits for its deadline."""
    life = Life(booking(by=method))
    verdict = life.tell(DECLINED)
    assert (verdict.taken, "only a card" in verdict.reason) == (False, True)
    assert life.state.order is OrderStatus.PROCESSING
