"""The day's cap among messages that go at one moment: the gate saw room for each of them."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Item, Later
from activities.database import open_database
from activities.message_log import MessageLog
from activities.message_rows import Cap
from activities.template_samples import sample
from models.notices import Kind
from models.policy import ClassPolicy, GatePolicy
from tests.activities.test_delivery_doubts import Clock, Fake, asked, free, pipeline, rows_of
from tests.faults.campaign_items import NOON


def coupon(number: int, cap: int = 2) -> Item:
    """One of many coupon notices to one telephone; so many a day are the most, nothing else is asked."""
    one = free(number)
    notice = replace(
        one.delivery.notice,
        kind=Kind.COUPON_ISSUED,
        key=f"coupon:lumi:d{number}/coupon_issued/issued/ada",
        recipient=replace(one.delivery.notice.recipient, phone="+886910000000", member_id="ada"),
    )
    content: Any = sample(Kind.COUPON_ISSUED, "en").content
    delivery = replace(one.delivery, notice=notice, content=replace(content, member_id="ada"))
    gate = GatePolicy(loyalty=ClassPolicy(daily_cap=cap))
    return replace(one, delivery=delivery, merchant=replace(one.merchant, gate=gate))


@pytest.mark.parametrize("together", ["in one page", "side by side"])
async def test_a_cap_holds_among_messages_that_go_at_one_moment(engine: AsyncEngine, together: str) -> None:
    """Several coupons at 15:00 to one member, a family with one phone: the rest waits for the next day."""
    provider = Fake()
    sending, ten = pipeline(engine, provider), [coupon(number) for number in range(10)]
    if together == "in one page":
        answers = await sending.send(ten, Clock().attempt())
    else:
        alone = (sending.send([one], Clock().attempt(f"t{n}")) for n, one in enumerate(ten))
        answers = [came for (came,) in await asyncio.gather(*alone)]
    assert Counter(isinstance(came[-1], Later) for came in answers) == {False: 2, True: 8}
    assert len(provider.given) == 2
    again = await sending.send(ten, Clock().attempt("again"))
    assert [isinstance(came[-1], Later) for came in again] == [
        isinstance(came[-1], Later) for came in answers
    ]
    held = [row for row in (await rows_of(engine)).values() if row["status"] == "deferred"]
    assert {row["rule"] for row in held} == {"frequency_cap"}
    assert (len(held), len(provider.given)) == (8, 2)


async def test_a_cap_holds_among_several_workers(database_url: str) -> None:
    """None of them sees what the others have not committed yet."""
    engines = [open_database(database_url) for _ in range(3)]
    provider = Fake()
    pages = [[coupon(10 * worker + number, cap=3) for number in range(10)] for worker in range(3)]
    try:
        sending = [pipeline(engine, provider) for engine in engines]
        await asyncio.gather(
            *(
                one.send(page, Clock().attempt(str(n)))
                for n, (one, page) in enumerate(zip(sending, pages, strict=True))
            )
        )
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines))
    assert len(provider.given) == 3


async def test_what_has_gone_takes_up_its_room_once(engine: AsyncEngine) -> None:
    """A page that comes again asks for it too."""
    provider = Fake()
    sending, log = pipeline(engine, provider), MessageLog(engine)
    await sending.send([coupon(1)], Clock().attempt())
    since = Cap(NOON - timedelta(hours=1), 2)
    claims = await log.claim([asked(coupon(number), "again", cap=since) for number in (1, 2, 3)])
    assert [(claim.outcome is not None, claim.holds) for claim in claims] == [
        (True, False),
        (False, True),
        (False, False),
    ]


async def test_a_cap_holds_for_more_recipients_than_there_is_room_for_locks(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole merchants take turns then, also with those who ask for few."""
    provider = Fake()
    sending = pipeline(engine, provider)
    monkeypatch.setattr("activities.caps.MANY", 0)
    alone = (sending.send([coupon(number)], Clock().attempt(f"t{number}")) for number in range(6))
    await asyncio.gather(*alone)
    assert len(provider.given) == 2
