"""What may have been sent twice, or not at all: never by a fault of ours, and never without a mark."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.attempt import ALIVE, LATEST, Answer, Attempt, Item, Later
from activities.database import reading, writing
from activities.delivery import Deliveries
from activities.handing_over import HandingOver, Job
from activities.ledger import Want
from activities.ledger_accounts import balance, topup
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Closing, Left
from activities.pipeline import GROUP, Pipeline
from activities.rates import Rates
from activities.rendering import Rendered, Renderer, RenderError
from activities.standing import Standings
from channels.base import Abilities, Channel, DeliveryError, Message, Receipt
from channels.registry import Channels
from models.agenda import ChannelOutcome, CloseOut, Notice, Status
from models.credits import Pool
from models.ids import message_reference
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.tables.messages import MessageStatus
from tests.databases import listen
from tests.faults.campaign_items import NOON, PROVIDER, SHOP, item

Answering = Callable[[Message], Awaitable[Receipt]]
NOTHING_SPECIAL = Abilities()
TEXT = Rendered("", "Hello", "", (), "en", 1)


async def taken(_: Message) -> Receipt:
    return Receipt(PROVIDER.value, "id")


@dataclass
class Fake:
    """A provider that keeps the keys of what it was given."""

    answer: Answering = taken
    provider: str = PROVIDER.value
    abilities: Abilities = NOTHING_SPECIAL
    given: list[str] = field(default_factory=list)

    async def send(self, message: Message) -> Receipt:
        self.given.append(message.key)
        return await self.answer(message)

    async def close(self) -> None:
        """Nothing stays open."""


@dataclass
class Clock:
    """The time that an attempt has taken, as the test has it."""

    elapsed: timedelta = timedelta(0)

    def attempt(self, token: str = "first", started: datetime = NOON) -> Attempt:
        return Attempt(token, started, lambda: self.elapsed)


def free(number: int, merchant: Merchant | None = None) -> Item:
    """A message that costs nothing."""
    one = item(number)
    return replace(one, merchant=merchant or replace(SHOP, credits=replace(SHOP.credits, enabled=False)))


def handing_over(log: MessageLog, engine: AsyncEngine, *providers: Fake) -> HandingOver:
    extra = {provider.provider: cast(Channel, provider) for provider in providers}
    return HandingOver(log, Channels({}, cast(httpx.AsyncClient, None), extra=extra), Rates(engine))


def pipeline(engine: AsyncEngine, *providers: Fake, renderer: Renderer | None = None) -> Pipeline:
    log = MessageLog(engine)
    return Pipeline(log, Standings(engine), renderer or Renderer(), handing_over(log, engine, *providers))


def asked(one: Item, token: str = "first", **changes: Any) -> Asked:
    return replace(Asked(one.delivery, one.channel, one.merchant, token, NOON, {}), **changes)


async def handed_over(sending: HandingOver, jobs: Sequence[Job], attempt: Attempt) -> list[Any]:
    """What came of each message of one group."""
    await sending.send([jobs], attempt)
    return [job.answer for job in jobs]


async def rows_of(engine: AsyncEngine) -> dict[str, dict[str, Any]]:
    return {row["notice_key"]: row for row in await MessageLog(engine).messages(limit=1000)}


def closing(one: Item, reason: str) -> Closing:
    return Closing(one.delivery, one.channel, MessageStatus.MISSED, reason, NOON)


def left(claim: Claim, status: MessageStatus = MessageStatus.SENT, **changes: Any) -> Left:
    return replace(Left(claim, SHOP.id, status, NOON), **changes)


async def test_a_page_is_marked_and_settled_in_a_transaction_each(engine: AsyncEngine) -> None:
    """Not message by message: that is what the pages are for."""
    log = MessageLog(engine)
    claims = await log.claim([asked(free(number), in_hand=False) for number in range(200)])
    commits: list[object] = []
    listen(engine, "commit", commits.append)
    assert await log.hand_over(claims) == [True] * 200
    await log.leave([left(claim) for claim in claims])
    assert len(commits) == 2


async def test_an_overtaken_attempt_claims_nothing_beside_one_that_claims(engine: AsyncEngine) -> None:
    """Both ask in one transaction: what the one may have no more is not written down, the other's is."""
    log, later = MessageLog(engine), NOON + 2 * ALIVE
    (held,) = await log.claim([asked(free(0), "old")])
    (taken_over,) = await log.claim([asked(free(0), "new", now=later)])
    assert taken_over.doubtful
    commits: list[object] = []
    listen(engine, "commit", commits.append)
    (old,), (other,) = await asyncio.gather(
        log.claim([asked(free(1), "old", now=later)], [left(held)]),
        log.claim([asked(free(2), "other", now=later)]),
    )
    assert len(commits) == 1
    assert (old.overtaken, other.holds) == (True, True)
    rows = await rows_of(engine)
    assert {key: row["token"] for key, row in rows.items()} == {
        free(0).delivery.notice.key: "new",
        free(2).delivery.notice.key: "other",
    }


async def test_of_a_page_only_one_group_is_in_doubt_at_any_moment(engine: AsyncEngine) -> None:
    """A crash leaves in doubt what is claimed and not written down yet: fifty messages, whatever the page."""
    most = 0

    async def answer(message: Message) -> Receipt:
        nonlocal most
        rows = await rows_of(engine)
        in_doubt = {key for key, row in rows.items() if row["status"] == "handing_over"}
        assert message.key in in_doubt
        most = max(most, len(in_doubt))
        return await taken(message)

    log, provider = MessageLog(engine), Fake(answer)
    sending = Pipeline(log, Standings(engine), Renderer(), handing_over(log, engine, provider))
    page = [free(number) for number in range(2 * GROUP + 1)]
    answers = await sending.send(page, Clock().attempt())
    assert {_status(one[-1]) for one in answers} == {"sent"}
    assert most == GROUP
    assert {row["status"] for row in (await rows_of(engine)).values()} == {"sent"}
    assert len(provider.given) == len(page)


async def test_a_group_that_cannot_be_claimed_leaves_no_other_in_doubt(engine: AsyncEngine) -> None:
    """The attempt ends only when what it has handed over is written down."""

    class Failing(MessageLog):
        async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
            if asked[0].place[0] == page[GROUP].delivery.notice.key:
                raise OperationalError("UPDATE", {}, Exception("the database is away"))
            return await super().claim(asked, left)

    log, provider = Failing(engine), Fake()
    sending = Pipeline(log, Standings(engine), Renderer(), handing_over(log, engine, provider))
    page = [free(number) for number in range(3 * GROUP)]
    with pytest.raises(OperationalError):
        await sending.send(page, Clock().attempt())
    rows = await rows_of(engine)
    assert rows.keys() == set(provider.given)
    assert {row["status"] for row in rows.values()} == {"sent"}
    assert len(rows) == GROUP


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_log_is_not_read_from_end_to_end_for_a_page(engine: AsyncEngine) -> None:
    """What a page costs does not grow with the history behind it: SQLite says in words how it looks."""
    said: list[str] = []
    listen(engine, "before_cursor_execute", lambda *call: said.append(str(call[2])))
    log, page = MessageLog(engine), [free(number) for number in range(3)]
    await log.claim([asked(one, "died", in_hand=False) for one in page])
    claims = await log.claim([asked(one, in_hand=False) for one in page])
    assert await log.hand_over(claims) == [True] * 3
    await log.leave([left(claim, MessageStatus.FAILED, refund=True) for claim in claims])
    begins = "SELECT messages", "SELECT json_group_array", "UPDATE messages"
    looked = {sql for sql in said if sql.startswith(begins) and "messages" in sql}
    assert len(looked) >= 4
    async with reading(engine) as connection:
        for sql in looked:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))
            assert not [row for row in plan if str(row.detail).startswith("SCAN messages")], sql


async def test_a_fault_in_a_channel_puts_only_its_own_message_in_doubt(engine: AsyncEngine) -> None:
    """What the others of its group were answered is kept; nobody knows of the one whether it has gone."""
    bad = free(3).delivery.notice.key

    async def answer(message: Message) -> Receipt:
        if message.key == bad:
            raise KeyError("id")
        await asyncio.sleep(0.01)
        return await taken(message)

    answers = await pipeline(engine, Fake(answer)).send([free(n) for n in range(5)], Clock().attempt())
    assert [_status(one[-1]) for one in answers] == ["sent"] * 3 + ["later", "sent"]
    rows = await rows_of(engine)
    assert (rows[bad]["status"], rows[bad]["doubtful"]) == ("waiting", True)
    assert not any(row["doubtful"] for key, row in rows.items() if key != bad)


async def test_a_fault_in_a_template_holds_up_no_other_message_of_the_page(engine: AsyncEngine) -> None:
    """It waits to be mended; the others go."""

    class Faulty(Renderer):
        def render(self, notice: Notice, *given: Any, **more: Any) -> Rendered:
            if notice.key == free(1).delivery.notice.key:
                raise ZeroDivisionError
            return super().render(notice, *given, **more)

    provider = Fake()
    sending = pipeline(engine, provider, renderer=Faulty())
    answers = await sending.send([free(n) for n in range(3)], Clock().attempt())
    assert [_status(one[-1]) for one in answers] == ["sent", "later", "sent"]
    assert len(provider.given) == 2
    waiting = (await rows_of(engine))[free(1).delivery.notice.key]
    assert (waiting["status"], waiting["attempts"]) == ("waiting", 0)
    assert waiting["reason"] == "ZeroDivisionError while it was rendered"


class Broken(Renderer):
    """Its template is broken, until it is mended; `why` is what the template says."""

    why = "pre_visit: unknown name 'tiem'"

    def render(self, notice: Notice, *given: Any, **more: Any) -> Rendered:
        if self.why:
            raise RenderError(self.why)
        return super().render(notice, *given, **more)


async def test_a_message_that_cannot_be_rendered_says_why_while_it_waits_and_when_it_is_missed(
    engine: AsyncEngine,
) -> None:
    """It is in the history, with the cause; each attempt tells the latest. A mended template lets it go."""
    log, renderer, one = MessageLog(engine), Broken(), free(0)
    sending = pipeline(engine, Fake(), renderer=renderer)
    await sending.send([one], Clock().attempt())
    renderer.why = "another fault\0"
    ((answer,),) = await sending.send([one], Clock().attempt("second"))
    assert isinstance(answer, Later)
    (row,) = await log.messages()
    assert (row["status"], row["reason"], row["settled_at"]) == ("waiting", "another fault", None)
    missed = free(1)
    await sending.send([missed], Clock().attempt())
    (outcome,) = await log.close([closing(missed, "it could not be sent in its time")])
    assert outcome is not None
    assert outcome.reason == "it could not be sent in its time; the last attempt said: another fault"
    renderer.why = ""
    assert [_status(*answers) for answers in await sending.send([one], Clock().attempt("third"))] == ["sent"]


async def test_a_page_that_cannot_be_rendered_is_noted_in_one_transaction(engine: AsyncEngine) -> None:
    """And what has gone before stays as it went, whatever becomes of the template."""
    page = [free(number) for number in range(100)]
    await pipeline(engine, Fake()).send(page[:1], Clock().attempt())
    sending, commits = pipeline(engine, Fake(), renderer=Broken()), list[object]()
    listen(engine, "commit", commits.append)
    answers = await sending.send(page, Clock().attempt("second"))
    assert [_status(*one) for one in answers] == ["sent", *["later"] * 99]
    assert len(commits) <= 2, "one reads the standings"
    statuses = Counter(row["status"] for row in (await rows_of(engine)).values())
    assert statuses == {"sent": 1, "waiting": 99}


def unwritable(number: int) -> Item:
    """A message to a name that no database takes."""
    one = free(number)
    whose = replace(one.delivery.notice.recipient, name="\ud83d")
    return replace(one, delivery=replace(one.delivery, notice=replace(one.delivery.notice, recipient=whose)))


async def test_a_note_that_cannot_be_written_hinders_no_other(engine: AsyncEngine) -> None:
    """A page whose template is broken is noted but for that one, and all of it waits."""
    sending = pipeline(engine, Fake(), renderer=Broken())
    answers = await sending.send([free(0), unwritable(1), free(2)], Clock().attempt())
    assert [_status(*one) for one in answers] == ["later"] * 3
    assert len(await rows_of(engine)) == 2


async def test_a_message_that_cannot_be_claimed_says_why_while_it_waits(engine: AsyncEngine) -> None:
    """And what cannot be noted at all hinders nobody."""

    class Unspeakable(Renderer):
        def render(self, notice: Notice, *given: Any, **more: Any) -> Rendered:
            rendered = super().render(notice, *given, **more)
            broken = notice.key == free(1).delivery.notice.key
            return replace(rendered, text="half a smile: \ud83d") if broken else rendered

    sending = pipeline(engine, Fake(), renderer=Unspeakable())
    answers = await sending.send([free(0), free(1), unwritable(2)], Clock().attempt())
    assert [_status(*one) for one in answers] == ["sent", "later", "later"]
    rows = await rows_of(engine)
    assert len(rows) == 2
    row = rows[free(1).delivery.notice.key]
    assert row["status"] == "waiting"
    assert row["reason"].startswith("it cannot be claimed: ")


async def test_a_message_that_cannot_be_claimed_holds_up_no_other_of_the_page(engine: AsyncEngine) -> None:
    """The others are claimed, and it is said which one is not."""
    page = [asked(free(n), said={"text": None if n == 1 else "Hello"}) for n in range(3)]
    claims = await MessageLog(engine).claim(page)
    assert [claim.holds for claim in claims] == [True, False, True]
    assert "IntegrityError" in claims[1].hindrance or "NotNull" in claims[1].hindrance


async def test_a_message_that_a_page_names_twice_goes_once(engine: AsyncEngine) -> None:
    """One claim for one notice and channel, also within a page."""
    provider = Fake()
    answers = await pipeline(engine, provider).send([free(0), free(1), free(0)], Clock().attempt())
    assert [_status(one[-1]) for one in answers] == ["sent", "sent", "later"]
    assert len(provider.given) == 2


async def test_of_two_attempts_that_claim_in_one_go_only_one_holds_the_message(engine: AsyncEngine) -> None:
    """An attempt that was given up while it waited for the database, and the one that follows it."""
    log = MessageLog(engine)
    both = await asyncio.gather(log.claim([asked(free(0), "old")]), log.claim([asked(free(0), "new")]))
    assert [claim.holds for (claim,) in both] == [True, False]
    (row,) = (await rows_of(engine)).values()
    assert (row["token"], row["attempts"]) == ("old", 1)


async def test_what_was_taken_over_meanwhile_does_not_leave(engine: AsyncEngine) -> None:
    """An attempt that only held a message looks once more whether it is its own."""
    provider, one = Fake(), free(0)
    next_one = asked(one, "new", in_hand=False)

    class Overtaken(MessageLog):
        async def hand_over(self, claims: Sequence[Claim]) -> list[bool]:
            (new,) = await MessageLog(engine).claim([next_one])
            assert not new.doubtful
            return await super().hand_over(claims)

    old = Job(one, asked(one, "old", in_hand=False), TEXT)
    (answer,) = await handed_over(
        handing_over(Overtaken(engine), engine, provider), [old], Clock().attempt("old")
    )
    assert isinstance(answer, Later)
    assert provider.given == []
    new = Job(one, next_one, TEXT)
    (answer,) = await handed_over(
        handing_over(MessageLog(engine), engine, provider), [new], Clock().attempt("new")
    )
    assert isinstance(answer, ChannelOutcome)
    assert provider.given == [one.delivery.notice.key]


async def test_a_message_that_was_closed_meanwhile_does_not_leave(engine: AsyncEngine) -> None:
    """What the history calls lapsed is not sent after all."""
    provider, one = Fake(), free(0)

    class Closed(MessageLog):
        async def hand_over(self, claims: Sequence[Claim]) -> list[bool]:
            async with writing(engine) as connection:
                await connection.exec_driver_sql("UPDATE messages SET status = 'lapsed'")
            return await super().hand_over(claims)

    job = Job(one, asked(one, in_hand=False), TEXT)
    (answer,) = await handed_over(handing_over(Closed(engine), engine, provider), [job], Clock().attempt())
    assert isinstance(answer, Later)
    assert provider.given == []


@pytest.mark.parametrize("in_hand", [True, False], ids=["claim", "mark"])
async def test_what_waited_too_long_for_the_database_does_not_leave(
    engine: AsyncEngine, in_hand: bool
) -> None:
    """The next attempt may be at work by the time that the database has answered."""
    clock, provider, one = Clock(), Fake(), free(0)

    class Slow(MessageLog):
        async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
            claims = await super().claim(asked, left)
            clock.elapsed += LATEST + timedelta(seconds=1) if in_hand else timedelta(0)
            return claims

        async def hand_over(self, claims: Sequence[Claim]) -> list[bool]:
            held = await super().hand_over(claims)
            clock.elapsed += LATEST + timedelta(seconds=1)
            return held

    sending = handing_over(Slow(engine), engine, provider)
    (answer,) = await handed_over(sending, [Job(one, asked(one, in_hand=in_hand), TEXT)], clock.attempt())
    assert isinstance(answer, Later)
    assert provider.given == []
    (row,) = (await rows_of(engine)).values()
    assert (row["status"], row["doubtful"]) == ("waiting", False)


async def test_an_attempt_whose_time_is_over_claims_nothing_more(engine: AsyncEngine) -> None:
    """What it does not send it leaves to the next one, untouched."""
    provider, page = Fake(), [free(number) for number in range(3)]
    sending = handing_over(MessageLog(engine), engine, provider)
    jobs = [Job(one, asked(one), TEXT) for one in page]
    answers = await handed_over(sending, jobs, Clock(LATEST + timedelta(seconds=1)).attempt())
    assert all(isinstance(answer, Later) for answer in answers)
    assert (provider.given, await rows_of(engine)) == ([], {})


async def test_a_message_whose_last_moment_passes_on_the_way_does_not_leave(engine: AsyncEngine) -> None:
    """Late by seconds is late."""
    provider, one = Fake(), free(0)
    log = MessageLog(engine)
    late = Clock(timedelta(seconds=2)).attempt(started=one.delivery.notice.not_after - timedelta(seconds=1))
    (answer,) = await handed_over(handing_over(log, engine, provider), [Job(one, asked(one), TEXT)], late)
    assert isinstance(answer, Later)
    assert provider.given == []


async def test_the_doubt_outlives_a_deferral(engine: AsyncEngine) -> None:
    """Quiet hours begin after a worker died over a promotion: in the morning it may still have gone."""
    log, one = MessageLog(engine), free(0)
    await log.claim([asked(one, "died", now=NOON - ALIVE)])
    await log.close([Closing(one.delivery, one.channel, MessageStatus.DEFERRED, "quiet hours", NOON)])
    (claim,) = await log.claim([asked(one, "morning")])
    assert (claim.outcome, claim.doubtful) == (None, True)


async def test_only_who_holds_a_message_gives_back_what_it_cost(engine: AsyncEngine) -> None:
    """A late refusal of an attempt that was given up does not make the next one's message free."""
    log, one = MessageLog(engine), item(0)
    async with writing(engine) as connection:
        await topup(connection, SHOP, Pool.SMS, Decimal(10), "top-up", NOON)
    want = Want(message_reference(one.delivery.notice.key, one.channel), Decimal("0.85"))
    (old,) = await log.claim([asked(one, "old", want=want, now=NOON - ALIVE)])
    (new,) = await log.claim([asked(one, "new", want=want)])
    await log.leave([left(old, MessageStatus.FAILED, refund=True)])
    await log.leave([left(new)])
    async with reading(engine) as connection:
        assert (await balance(connection, SHOP.id)).sms == Decimal("9.15")


TWO = replace(
    SHOP,
    credits=replace(SHOP.credits, enabled=False),
    sms=SmsSettings(PROVIDER, fallback=SmsProvider.CONSOLE),
)
KEYED = Abilities(idempotent=True)


async def down(_: Message) -> Receipt:
    raise DeliveryError("HTTP 503")


async def test_the_second_provider_is_not_asked_when_the_first_took_too_long_to_fail(
    engine: AsyncEngine,
) -> None:
    """By then the next attempt may be at work: whoever waited looks at the clock again."""
    clock, one = Clock(), free(0, TWO)

    async def slowly_down(_: Message) -> Receipt:
        clock.elapsed = LATEST + timedelta(seconds=1)
        raise DeliveryError("HTTP 503")

    first, second = Fake(slowly_down), Fake(provider="console")
    ((answer,),) = await pipeline(engine, first, second).send([one], clock.attempt())
    assert isinstance(answer, Later)
    assert (len(first.given), second.given) == (1, [])


async def test_one_that_hangs_is_in_doubt_and_keeps_the_second_provider_from_nobody(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its group go on at once; when its time is over nobody knows whether it has gone."""
    monkeypatch.setattr("activities.handing_over.SEND_LIMIT", timedelta(seconds=0.2))
    page = [free(number, TWO) for number in range(3)]
    hangs, stands_in = page[1].delivery.notice.key, asyncio.Event()

    async def down_or_silent(message: Message) -> Receipt:
        if message.key == hangs:
            async with asyncio.timeout(10):
                await stands_in.wait()  # it hangs at least until the others have been taken
            await asyncio.Event().wait()
        return await down(message)

    async def take(message: Message) -> Receipt:
        if len(second.given) == 2:
            stands_in.set()
        return await taken(message)

    first, second = Fake(down_or_silent), Fake(take, provider="console")
    answers = await pipeline(engine, first, second).send(page, Clock().attempt())
    assert [_status(one[-1]) for one in answers] == ["sent", "later", "sent"]
    assert (len(first.given), hangs in second.given) == (3, False)
    rows = await rows_of(engine)
    assert (rows[hangs]["status"], rows[hangs]["doubtful"]) == ("waiting", True)
    assert "did not answer in time" in rows[hangs]["reason"]


async def test_what_is_in_doubt_does_not_go_by_the_second_provider(engine: AsyncEngine) -> None:
    """The first may have it, and its key means nothing to the second."""
    first, second = Fake(down, abilities=KEYED), Fake(provider="console")
    one = free(0, TWO)
    await MessageLog(engine).claim([asked(one, "died", now=NOON - ALIVE)])
    ((answer,),) = await pipeline(engine, first, second).send([one], Clock().attempt("next"))
    assert isinstance(answer, Later)
    assert (len(first.given), second.given) == (1, [])


async def test_the_second_provider_has_a_time_of_its_own(engine: AsyncEngine) -> None:
    """The first took long to fail: another attempt leaves it alone while the second has it in hand."""
    clock, waits = Clock(), list[timedelta | None]()

    async def slow_to_fail(_: Message) -> Receipt:
        clock.elapsed = LATEST - timedelta(seconds=1)
        raise DeliveryError("HTTP 503")

    async def slow_to_take(message: Message) -> Receipt:
        begun = NOON + clock.elapsed
        (claim,) = await MessageLog(engine).claim([asked(free(0, TWO), "another", now=begun)])
        waits.append(claim.wait)
        return await taken(message)

    first, second = Fake(slow_to_fail), Fake(slow_to_take, "console")
    ((answer,),) = await pipeline(engine, first, second).send([free(0, TWO)], clock.attempt())
    assert isinstance(answer, ChannelOutcome)
    assert waits == [ALIVE]


async def test_a_key_proves_nothing_where_the_second_provider_may_have_the_message(
    engine: AsyncEngine,
) -> None:
    """The worker may have died while the second provider stood in for the first: that is marked."""
    first, second = Fake(abilities=KEYED), Fake(provider="console")
    one = free(0, TWO)
    await MessageLog(engine).claim([asked(one, "died", now=NOON - ALIVE)])
    ((answer,),) = await pipeline(engine, first, second).send([one], Clock().attempt("next"))
    assert isinstance(answer, ChannelOutcome)
    assert (answer.status, answer.doubtful) == (Status.SENT, True)


async def test_the_code_of_an_error_is_in_the_history(engine: AsyncEngine) -> None:
    """Where nothing else would tell what to look up, or which variable to set."""

    async def refuse(_: Message) -> Receipt:
        raise DeliveryError("CARILLON_X is not set", code="not_configured")

    await pipeline(engine, Fake(refuse)).send([free(0)], Clock().attempt())
    (row,) = await MessageLog(engine).messages()
    assert (row["status"], row["reason"]) == ("waiting", "CARILLON_X is not set [not_configured]")


async def test_a_busy_provider_does_not_take_the_doubt_away(engine: AsyncEngine) -> None:
    """Only its word that it has the message does: until then the shop may choose another provider."""
    provider, one = Fake(down, abilities=KEYED), free(0)
    await MessageLog(engine).claim([asked(one, "died", now=NOON - ALIVE)])
    await pipeline(engine, provider).send([one], Clock().attempt("busy"))
    (row,) = (await rows_of(engine)).values()
    assert (row["status"], row["doubtful"]) == ("waiting", True)
    provider.answer = taken
    ((answer,),) = await pipeline(engine, provider).send([one], Clock().attempt("taken"))
    assert isinstance(answer, ChannelOutcome)
    assert (answer.status, answer.doubtful) == (Status.SENT, False)


async def test_the_answers_are_written_down_when_the_database_is_back(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for a moment after the sending costs no doubt."""
    monkeypatch.setattr("activities.handing_over.PAUSE", timedelta(milliseconds=1))
    outages = 3

    class Shaky(MessageLog):
        async def leave(self, left: Sequence[Left]) -> None:
            nonlocal outages
            outages -= 1
            if outages >= 0:
                raise OperationalError("UPDATE", {}, Exception("the database is away"))
            await super().leave(left)

    log, provider, one = Shaky(engine), Fake(), free(0)
    job = Job(one, asked(one), TEXT)
    (answer,) = await handed_over(handing_over(log, engine, provider), [job], Clock().attempt())
    assert isinstance(answer, ChannelOutcome)
    (row,) = (await rows_of(engine)).values()
    assert (row["status"], row["doubtful"]) == ("sent", False)


async def test_what_a_provider_says_is_made_to_fit_the_row(engine: AsyncEngine) -> None:
    """An answer that cannot be written down would have the message sent again, for ever."""
    log = MessageLog(engine)
    (claim,) = await log.claim([asked(free(0))])
    await log.leave([left(claim, provider_id="x" * 400, reason="a\0b")])
    (row,) = (await rows_of(engine)).values()
    assert (row["status"], row["provider_id"], row["reason"]) == ("sent", "x" * 128, "ab")


async def test_waiting_for_the_merchant_counts_against_the_attempt() -> None:
    """Whatever an attempt waits for: after its time it must not send beside the next one."""
    seen: list[timedelta] = []

    class Slow:
        async def get(self, _: str) -> Merchant:
            await asyncio.sleep(0.05)
            return SHOP

    class Watching:
        async def send(self, items: Sequence[Item], attempt: Attempt) -> list[list[Answer]]:
            seen.append(attempt.elapsed())
            return [[ChannelOutcome(one.channel, Status.SENT, NOON)] for one in items]

    deliveries = Deliveries(cast(MessageLog, None), cast(Merchants, Slow()), cast(Pipeline, Watching()))
    await ActivityEnvironment().run(deliveries.deliver, item(0).delivery)
    assert seen[0] >= timedelta(seconds=0.04)


def _status(answer: Answer) -> str:
    return "later" if isinstance(answer, Later) else str(answer.status)


async def test_what_cannot_be_written_down_strands_no_group_that_follows(engine: AsyncEngine) -> None:
    """Nothing is claimed beside it: those messages never left, and are not in doubt."""
    log, page = MessageLog(engine), [free(number) for number in range(4)]
    claims = await log.claim([asked(one) for one in page[:2]])
    unspeakable = left(claims[0], MessageStatus.WAITING, reason="half a smile: \ud83d")
    with pytest.raises((UnicodeEncodeError, DBAPIError)):
        await log.claim([asked(one) for one in page[2:]], [unspeakable, left(claims[1])])
    statuses = {key: row["status"] for key, row in (await rows_of(engine)).items()}
    assert statuses == {claims[0].key: "handing_over", claims[1].key: "sent"}


async def test_a_message_that_cannot_be_claimed_keeps_neither_the_others_nor_what_came_before(
    engine: AsyncEngine,
) -> None:
    """It alone is hindered; the group before is written down, and the rest of its own is claimed."""
    log, page = MessageLog(engine), [free(number) for number in range(4)]
    (before,) = await log.claim([asked(page[0])])
    unspeakable = asked(page[1], said={"text": "half a smile: \ud83d"})
    bad, good = await log.claim([unspeakable, asked(page[2])], [left(before)])
    assert (bad.holds, good.holds) == (False, True)
    assert bad.hindrance.startswith("it cannot be claimed: ")
    statuses = {key: row["status"] for key, row in (await rows_of(engine)).items()}
    assert statuses == {before.key: "sent", good.key: "handing_over"}


async def test_what_is_put_off_is_nobody_elses(engine: AsyncEngine) -> None:
    """An attempt that is told to stop notes what it had begun, and leaves alone what another one holds."""
    log, page = MessageLog(engine), [free(number) for number in range(2)]
    (theirs,) = await log.claim([asked(page[0], "another")])
    await log.put_off(
        [Closing(one.delivery, one.channel, MessageStatus.DEFERRED, "stopped", NOON) for one in page]
    )
    statuses = {key: row["status"] for key, row in (await rows_of(engine)).items()}
    assert statuses == {theirs.key: "handing_over", page[1].delivery.notice.key: "deferred"}
    await log.leave([left(theirs)])
    assert (await rows_of(engine))[theirs.key]["status"] == "sent"


async def test_what_is_in_hand_is_closed_once_it_no_longer_can_be(engine: AsyncEngine) -> None:
    """The last moment comes while an attempt may be sending: what really became of it is asked again."""
    log, one = MessageLog(engine), free(0)
    deliveries = Deliveries(log, cast(Merchants, None), cast(Pipeline, None))
    order: CloseOut[Any] = CloseOut(one.delivery, Status.MISSED, "too late")
    environment = ActivityEnvironment()
    (claim,) = await log.claim([asked(one)])
    environment.info = replace(environment.info, started_time=NOON + ALIVE - timedelta(seconds=1))
    with pytest.raises(ApplicationError, match="an attempt is handing it over still"):
        await environment.run(deliveries.close_out, order)
    await log.leave([left(claim)])
    (outcome,) = await environment.run(deliveries.close_out, order)
    assert outcome.status is Status.SENT
