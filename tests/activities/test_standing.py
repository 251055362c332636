"""Consents, suppressions, suspensions and caps, on both databases; and what the gate makes of them."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.database import writing
from activities.explain import explained, found_messages
from activities.standing import Standings
from models.channels import LINE_NOTIFICATION, Family
from models.consent import Consent, ConsentGiven, ReasonError, Suppression
from models.credits import CreditPolicy
from models.merchant import SmsProvider, SmsSettings
from models.notices import NoticeClass
from models.people import Person
from models.policy import ClassPolicy, ConsentRule, GatePolicy
from models.tables.consents import SuppressionRow, SuspensionRow
from models.tables.messages import MessageRow, MessageStatus
from policies.gate import POLICY_VERSION, Passed, Proposal, Refused, Standing, gate
from tests.databases import listen
from tests.proposals import ADA, NOON, SHOP, proposed
from tests.requirements import requirement

LOYALTY, PROMOTIONAL, REMINDER = NoticeClass.LOYALTY, NoticeClass.PROMOTIONAL, NoticeClass.REMINDER
HOUR = timedelta(hours=1)
SOURCE = "checkout"
ADAS_EMAIL = "ada@example.com"


@pytest.fixture
def consents(engine: AsyncEngine) -> Consents:
    return Consents(engine)


@pytest.fixture
def standings(engine: AsyncEngine) -> Standings:
    return Standings(engine)


async def standing(standings: Standings, proposal: Proposal) -> Standing:
    (found,) = await standings.read([proposal])
    return found


def said(state: Consent, at: datetime = NOON, **whose: Any) -> ConsentGiven:
    return ConsentGiven("lumi", "email", PROMOTIONAL, state, SOURCE, at, **(whose or {"member_id": "m-1"}))


def dead(at: datetime = NOON, reason: str = "550 no such user") -> Suppression:
    return Suppression("lumi", "email", ADAS_EMAIL, reason, "smtp", at)


async def test_of_a_stranger_nothing_is_known(standings: Standings) -> None:
    """An empty database has nothing against anybody; an empty page asks nothing."""
    assert await standing(standings, proposed()) == Standing()
    assert await standings.read([]) == []


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([said(Consent.OPTED_IN)], Consent.OPTED_IN),
        ([said(Consent.OPTED_IN), said(Consent.OPTED_OUT, NOON + HOUR)], Consent.OPTED_OUT),
        ([said(Consent.OPTED_OUT, NOON + HOUR), said(Consent.OPTED_IN)], Consent.OPTED_OUT),
        ([said(Consent.OPTED_IN, address="Ada@Example.com")], Consent.OPTED_IN),
        (
            [said(Consent.OPTED_IN), said(Consent.OPTED_OUT, NOON + HOUR, address=ADAS_EMAIL)],
            Consent.OPTED_OUT,
        ),
        (
            [said(Consent.OPTED_IN, NOON + HOUR), said(Consent.OPTED_OUT, address=ADAS_EMAIL)],
            Consent.OPTED_IN,
        ),
        ([said(Consent.OPTED_IN), said(Consent.OPTED_OUT, address=ADAS_EMAIL)], Consent.OPTED_OUT),
        ([said(Consent.OPTED_IN, member_id="m-2")], Consent.NOT_ASKED),
        ([replace(said(Consent.OPTED_IN), merchant_id="other")], Consent.NOT_ASKED),
        ([replace(said(Consent.OPTED_IN), channel="sms")], Consent.NOT_ASKED),
        ([replace(said(Consent.OPTED_IN), notice_class=LOYALTY)], Consent.NOT_ASKED),
    ],
)
async def test_the_last_word_counts(
    standings: Standings, consents: Consents, words: list[ConsentGiven], answer: Consent
) -> None:
    """Of the member or about the address, told in whatever order; of two at once the no. To this merchant."""
    for word in words:
        await consents.record_consent([word])
    assert (await standing(standings, proposed(PROMOTIONAL, "email"))).consent == answer


async def test_a_suppressed_address_stays_so_until_it_is_lifted(
    standings: Standings, consents: Consents
) -> None:
    """However it is spelled and whoever tells it again; a bounce from before the lifting does not count."""
    mail = proposed(channel="email", recipient=replace(ADA, email="Ada@EXAMPLE.com"))
    await consents.suppress([dead()])
    await consents.suppress([dead(NOON + HOUR, "another bounce")])
    assert (await standing(standings, mail)).suppressed == "550 no such user"
    assert (await standing(standings, proposed(channel="sms"))).suppressed == ""
    assert await consents.lift("lumi", "email", "ADA@example.com", NOON + 2 * HOUR) is True
    assert await consents.lift("lumi", "email", ADAS_EMAIL, NOON + 3 * HOUR) is False
    await consents.suppress([dead(NOON + HOUR, "late news")])
    assert (await standing(standings, mail)).suppressed == ""
    await consents.suppress([dead(NOON + 4 * HOUR, "dead again")])
    assert (await standing(standings, mail)).suppressed == "dead again"


async def test_a_suppression_is_written_with_what_it_belongs_to(
    engine: AsyncEngine, consents: Consents
) -> None:
    """In the transaction that settles the message: if that is rolled back, so is this."""
    async with engine.connect() as connection:
        await consents.suppress([dead()], connection)
        await connection.rollback()
    assert await consents.suppressions() == []
    async with writing(engine) as connection:
        await consents.suppress([dead()], connection)
    (row,) = await consents.suppressions(merchant_id="lumi")
    assert (row["address"], row["reason"], row["source"]) == (ADAS_EMAIL, "550 no such user", "smtp")
    await consents.lift("lumi", "email", ADAS_EMAIL, NOON + HOUR)
    assert await consents.suppressions() == []
    assert len(await consents.suppressions(lifted=True)) == 1


@requirement("CRES-04")
@pytest.mark.parametrize(
    ("family", "stopped"),
    [
        (Family.SMS_PLUS, ["sms", LINE_NOTIFICATION]),
        (Family.EMAIL, ["email"]),
        (Family.EVERYTHING, ["email", "sms", LINE_NOTIFICATION, "line", "push", "pigeon"]),
    ],
)
async def test_a_brand_is_suspended_by_families_of_channels(
    standings: Standings, consents: Consents, family: Family, stopped: list[str]
) -> None:
    """SMS and LINE notification messages together; nobody else's."""
    await consents.suspend("lumi", family, "complaints", NOON)
    channels = ["email", "sms", LINE_NOTIFICATION, "line", "push", "pigeon"]
    found = await standings.read([proposed(channel=channel) for channel in channels])
    assert [c for c, s in zip(channels, found, strict=True) if s.suspended == "complaints"] == stopped
    other = proposed(merchant=replace(SHOP, id="other"))
    assert (await standing(standings, other)).suspended == ""


@requirement("CRES-04")
async def test_a_suspension_has_a_beginning_and_an_end(standings: Standings, consents: Consents) -> None:
    """A temporary one ends by itself, or when it is resumed, which can be done once."""

    async def stopped(after: timedelta) -> bool:
        return bool((await standing(standings, proposed(now=NOON + after))).suspended)

    await consents.suspend("lumi", Family.SMS_PLUS, "for a day", NOON, NOON + 24 * HOUR)
    assert [await stopped(after) for after in (-HOUR, 0 * HOUR, 23 * HOUR, 24 * HOUR)] == [
        False,
        True,
        True,
        False,
    ]
    assert await consents.resume("lumi", Family.EMAIL, NOON + HOUR) is False
    assert await consents.resume("lumi", Family.SMS_PLUS, NOON + HOUR) is True
    assert await consents.resume("lumi", Family.SMS_PLUS, NOON + HOUR) is False
    assert [await stopped(after) for after in (0 * HOUR, HOUR)] == [True, False]


@requirement("CRES-04")
async def test_a_blank_reason_stops_all_the_same_and_hides_no_other(
    engine: AsyncEngine, standings: Standings, consents: Consents
) -> None:
    """What was kept without one, by whoever wrote the row, is no permission to send."""
    with pytest.raises(ReasonError, match="write why"):
        await consents.suspend("lumi", Family.SMS_PLUS, " ", NOON)
    async with writing(engine) as connection:
        row = {"merchant_id": "lumi", "family": Family.SMS_PLUS, "reason": "", "since": NOON}
        await connection.execute(insert(SuspensionRow).values(**row))
    found = await standing(standings, proposed())
    assert found.suspended == "no reason given"
    assert isinstance(gate(proposed(suspended=found.suspended)), Refused)
    await consents.suspend("lumi", Family.SMS_PLUS, "complaints", NOON)
    assert (await standing(standings, proposed())).suspended == "complaints"


async def test_a_suppression_without_a_reason_holds_until_one_is_told(
    engine: AsyncEngine, standings: Standings, consents: Consents
) -> None:
    """The first reason stands, and a blank one is none."""
    with pytest.raises(ReasonError, match="write why"):
        await consents.suppress([dead(reason="")])
    async with writing(engine) as connection:
        await connection.execute(insert(SuppressionRow).values(**asdict(dead(reason=" "))))
    mail = proposed(channel="email")
    assert (await standing(standings, mail)).suppressed == "no reason given"
    await consents.suppress([dead(NOON - HOUR)])
    await consents.suppress([dead(NOON + HOUR, "another bounce")])
    assert (await standing(standings, mail)).suppressed == "550 no such user"


async def test_a_confirmed_address_is_known_where_a_class_asks(
    standings: Standings, consents: Consents
) -> None:
    """Of phones only."""
    strict = replace(SHOP, gate=GatePolicy(loyalty=ClassPolicy(verified=True)))
    text = proposed(LOYALTY, "sms", merchant=strict)
    assert not (await standing(standings, text)).verified
    await consents.record_verified("lumi", "sms", ADA.phone, "code by SMS", NOON)
    await consents.record_verified("lumi", "sms", ADA.phone, "again", NOON)
    assert (await standing(standings, text)).verified
    assert not (await standing(standings, proposed(LOYALTY, "sms"))).verified, "it does not ask"
    assert not (await standing(standings, proposed(LOYALTY, "email", merchant=strict))).verified


async def sent(engine: AsyncEngine, at: datetime, status: str = "sent", **changes: Any) -> None:
    """A message of the history, by SMS to Ada."""
    told = proposed()
    values = {
        "notice_key": f"n-{at.isoformat()}-{status}", "channel": "sms", "merchant_id": "lumi",
        "lifecycle": "x",
        "kind": told.notice.kind, "role": "member", "recipient": "Ada", "address": ADA.phone, "locale": "",
        "subject": "", "text": "", "segments": 1, "status": status, "reason": "", "provider": "",
        "provider_id": "",
        "doubtful": False, "attempts": 1, "token": "", "due": at, "not_after": at, "claimed_at": at,
        "settled_at": at,
    }  # fmt: skip
    async with writing(engine) as connection:
        await connection.execute(insert(MessageRow).values(**{**values, **changes}))


async def test_the_days_messages_are_counted_by_the_recipients_calendar(
    engine: AsyncEngine, standings: Standings
) -> None:
    """To this address, by this channel, gone or perhaps gone; not this very message."""
    midnight = NOON - 12 * HOUR  # in Taipei
    await sent(engine, midnight)
    await sent(engine, midnight - timedelta(seconds=1))
    await sent(engine, NOON, "delivered")
    await sent(engine, NOON, "claimed", settled_at=None)
    await sent(engine, NOON, "refused")
    await sent(engine, NOON, notice_key="email", channel="email")
    await sent(engine, NOON, notice_key="of another", address="+886900000000")
    await sent(engine, NOON, notice_key="of another shop", merchant_id="other")
    await sent(engine, NOON, notice_key="of another class", kind="pre_visit")
    await sent(engine, NOON, notice_key="this one")
    message = proposed(LOYALTY, key="this one")
    assert (await standing(standings, message)).sent_today == 3
    assert (await standing(standings, proposed(REMINDER))).sent_today == 0, "it has no cap: nobody counts"
    in_paris = replace(ADA, phone="+33612345678")
    await sent(engine, midnight, notice_key="yesterday in Paris", address=in_paris.phone)
    await sent(engine, NOON, notice_key="today in Paris", address=in_paris.phone)
    found = await standing(standings, proposed(LOYALTY, recipient=in_paris))
    assert (found.zone, found.sent_today) == ("Europe/Paris", 1)


async def test_addresses_are_looked_at(standings: Standings) -> None:
    """What is wrong with one, and whether a number is of the merchant's country where that costs."""
    wrong = Person("Bo", "bo@", "+8869")
    paying = replace(SHOP, credits=CreditPolicy(enabled=True), sms=SmsSettings(SmsProvider.SMARTDOVE))
    found = await standings.read(
        [
            proposed(channel="email", recipient=wrong),
            proposed(channel="sms", recipient=wrong),
            proposed(channel="sms", recipient=Person("Cy")),
            proposed(merchant=paying, recipient=Person("Di", phone="+33612345678")),
            proposed(merchant=paying),
        ]
    )
    assert [bool(one.address_problem) for one in found] == [True, True, False, False, False]
    assert [one.domestic for one in found] == [True, True, True, False, True]


@pytest.mark.parametrize("email", [" ada@example.com", "ada@example.com\n", "ada@example.com "])
async def test_an_address_is_looked_at_as_it_would_be_written_to(standings: Standings, email: str) -> None:
    """Consent knows one spelling of an address; a provider is given the one that stands there."""
    (found,) = await standings.read([proposed(channel="email", recipient=Person("Ada", email))])
    assert found.address_problem


async def test_a_page_is_read_in_a_handful_of_queries(engine: AsyncEngine, consents: Consents) -> None:
    """Twelve hundred recipients, each with a standing of their own, and each gets their own."""
    strict = replace(
        SHOP, gate=GatePolicy(promotional=ClassPolicy(ConsentRule.OPT_IN, verified=True, daily_cap=2))
    )
    people = [Person(f"P{n}", f"p{n}@example.com", member_id=f"m-{n}") for n in range(1200)]
    page = [proposed(PROMOTIONAL, "email", merchant=strict, recipient=p, key=p.name) for p in people]
    await consents.record_consent([said(Consent.OPTED_IN, member_id=f"m-{n}") for n in range(0, 1200, 2)])
    await consents.suppress([replace(dead(), address=f"p{n}@example.com") for n in range(0, 1200, 3)])
    asked: list[str] = []
    listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    found = await Standings(engine).read(page)
    assert sum(statement.startswith("SELECT") for statement in asked) <= 15
    assert [one.consent is Consent.OPTED_IN for one in found] == [n % 2 == 0 for n in range(1200)]
    assert [bool(one.suppressed) for one in found] == [n % 3 == 0 for n in range(1200)]


async def test_what_is_read_decides(standings: Standings, consents: Consents) -> None:
    """From the tables through the gate: a yes, then a no."""
    promotion = proposed(PROMOTIONAL, "email")
    await consents.record_consent([said(Consent.OPTED_IN)])
    (yes,) = await standings.read([promotion])
    assert isinstance(gate(replace(promotion, standing=yes)), Passed)
    await consents.record_consent([said(Consent.OPTED_OUT, NOON + HOUR)])
    (no,) = await standings.read([promotion])
    decision = gate(replace(promotion, standing=no))
    assert isinstance(decision, Refused)
    assert decision.reason == "the recipient has unsubscribed from promotional messages by email"


@pytest.mark.parametrize(
    ("status", "changes", "sentence"),
    [
        (
            "refused",
            {
                "reason": "promotional SMS is barred for a business that sells alcohol in Canada",
                "rule": "trade_ban",
                "policy_version": "2026-11",
            },
            "Not sent: promotional SMS is barred for a business that sells alcohol in Canada"
            " (rule trade_ban, policy 2026-11).",
        ),
        (
            "sent",
            {"provider": "twsms", "doubtful": True},
            "Sent as SMS by twsms on 2026-03-03 04:00 UTC. It may have arrived twice.",
        ),
        (
            "delivered",
            {"provider": "twsms"},
            "Sent as SMS by twsms on 2026-03-03 04:00 UTC, and it arrived.",
        ),
        ("failed", {"reason": "no such number"}, "Not sent, the provider refused it: no such number."),
        ("waiting", {"reason": "451 busy"}, "Not sent yet, another attempt follows: 451 busy."),
    ],
)
async def test_a_message_is_explained_in_a_sentence(
    engine: AsyncEngine, status: str, changes: dict[str, Any], sentence: str
) -> None:
    """Found by its number and by its key."""
    await sent(engine, NOON, status, notice_key="booking:lumi:b1/n1", **changes)
    (found,) = await found_messages(engine, "booking:lumi:b1/n1")
    assert explained(found) == sentence
    assert await found_messages(engine, str(found["id"])) == [found]
    assert await found_messages(engine, "nothing") == []
    assert await found_messages(engine, "99999999999999999999") == []


@pytest.mark.parametrize("status", MessageStatus)
async def test_every_status_has_its_words(status: MessageStatus) -> None:
    """Whatever stands in the history."""
    message = {
        "status": status, "reason": "", "rule": "", "policy_version": POLICY_VERSION, "doubtful": False,
        "provider": "", "channel": "sms", "settled_at": datetime(2026, 3, 1, tzinfo=UTC), "held": "",
    }  # fmt: skip
    assert explained(message).endswith(".")
