"""A month of a shop that may send no SMS: all that it owes and plans by SMS reaches its members by email."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client

from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.members import Members
from activities.message_log import MessageLog
from models.coupon import CouponDrop
from models.ids import wave_workflow_id
from models.member_facts import Registered
from models.member_policy import MemberPolicy
from models.policy import Trade
from models.regular_task import Gift, TaskKind
from models.showing import agenda_markdown
from models.timing import local_day
from models.wave import Words
from models.wave_state import Progress
from tests.requirements import requirement
from tests.tasks import SHOP, TAIPEI, Post, accrue, at_ten, enrol, lot, member, run, task
from tests.world import World, a_world, now
from workflows.wave import WaveWorkflow

BARRED = replace(
    SHOP,
    country="US",
    trade=(Trade.TOBACCO,),
    members=MemberPolicy(welcome=("sms",), invitation=("sms",)),
)
BY_SMS = ("sms",)
PHONES = {"ada": "+12025550101", "bo": "", "cy": "+12025550103"}
"""Bo has no phone, and Cy no email."""


@asynccontextmanager
async def a_barred_shop(temporal: Client, folder: Path) -> AsyncIterator[tuple[World, Post]]:
    """At work, with three members. Its SMS provider would take whatever it were given."""
    async with a_world(temporal, folder, merchant=BARRED) as world:
        post = Post()
        world.extra_channels = {"smtp": post}
        them = [member(name, phone=phone) for name, phone in PHONES.items()]
        await enrol(world, *(replace(one, email="") if one.member_id == "cy" else one for one in them))
        async with world.worker():
            yield world, post
        assert world.twsms.accepted == []


async def ways(world: World, kind: str) -> Counter[tuple[str, str, str, str]]:
    """To whom and by what the messages of a kind went or did not, with the rule."""
    rows = await MessageLog(world.engine).messages(limit=1000)
    return Counter(
        (row["recipient"], row["channel"], row["status"], row["rule"]) for row in rows if row["kind"] == kind
    )


def each_by_email(times: int = 1) -> Counter[tuple[str, str, str, str]]:
    """What the history says when everybody with an email address has it, and why Cy has not."""
    said = [(name, "sms", "refused", "trade_ban") for name in ("Ada", "Bo", "Cy")]
    said += [("Ada", "email", "sent", ""), ("Bo", "email", "sent", ""), ("Cy", "email", "refused", "address")]
    return Counter(dict.fromkeys(said, times))


@requirement("WACA-37", "WACA-38", "LS-40", "LS-42", "LS-50", "LS-51")
async def test_the_coupons_of_a_barred_shop_are_told_of_by_email(temporal: Client, tmp_path: Path) -> None:
    """From its issue to its last day. Who has no email is counted, and on the list of those."""
    async with a_barred_shop(temporal, tmp_path) as (world, post):
        today = local_day(now(), TAIPEI)
        first, last = today + timedelta(days=1), today + timedelta(days=20)
        drop = CouponDrop(SHOP.id, f"d-{uuid4().hex[:6]}", "Spring coupon", first, first, last)
        await Coupons(world.engine).keep(drop, now())
        await Coupons(world.engine).add(drop, map(Holder, PHONES), now())
        lifecycle = (await world.carillon.start_coupon(drop)).lifecycle
        agenda = await world.until(lifecycle, lambda agenda: len(agenda.owed) == 2)
        assert "| sms else email |" in agenda_markdown(agenda)
        report = await world.to_the_end(lifecycle)
        assert await ways(world, "coupon_issued") == each_by_email()
        assert await ways(world, "coupon_expiring") == each_by_email()
        assert post.readers == ["ada", "ada", "bo", "bo"]
        assert all("Spring coupon" in text for _, text in post.taken)
        assert (report.sent, report.missed) == (4, 0)
        assert "2 held by trade_ban" in report.words
        without = await Members(world.engine).listed(SHOP.id, without_email=True)
        assert [kept.member.member_id for kept in without] == ["cy"]


@requirement("LS-01", "LS-40", "LS-42", "LS-50", "LS-51")
async def test_the_regular_tasks_of_a_barred_shop_reach_its_members_by_email(
    temporal: Client, tmp_path: Path
) -> None:
    """A promotion every week, a birthday's greeting, bonuses that end: all were set up for SMS."""
    async with a_barred_shop(temporal, tmp_path) as (world, post):
        words = {"en": Words("We are open on Sundays.", "Sundays")}
        news = task(TaskKind.PROMOTION, channels=BY_SMS, everybody=True, words=words)
        for week in range(4):
            report = await run(world, news, at_ten(1 + 7 * week))
            assert (report.waves, report.sent) == (1, 2)
        assert await ways(world, "promotion") == each_by_email(4)
        await accrue(world, [lot(name, 80, ends=at_ten() + timedelta(days=2)) for name in PHONES])
        assert (await run(world, task(TaskKind.BONUS_BURN, channels=BY_SMS), at_ten())).sent == 2
        assert await ways(world, "bonus_burn") == each_by_email()
        born = local_day(at_ten(), TAIPEI).replace(year=1990)
        changed = [member(name, phone=phone, birth_date=born) for name, phone in PHONES.items()]
        await enrol(world, *(replace(one, email="") if one.member_id == "cy" else one for one in changed))
        gift = Gift("stars", Decimal(5), days=30)
        assert (
            await run(world, task(TaskKind.BIRTHDAY, cron="", channels=BY_SMS, gift=gift), at_ten())
        ).sent == 2
        assert await ways(world, "birthday") == each_by_email()
        assert Counter(post.readers) == {"ada": 6, "bo": 6}


@requirement("LOY-31", "LOY-51", "LOY-52", "LS-50")
async def test_the_members_of_a_barred_shop_are_welcomed_and_invited_by_email(
    temporal: Client, tmp_path: Path
) -> None:
    """Ada by email in place of her SMS, Bo by email at once; each time once."""
    async with a_barred_shop(temporal, tmp_path) as (world, post):
        for name in ("ada", "bo"):
            one = replace(member(f"{name}-{uuid4().hex[:6]}", phone=PHONES[name]), registered_at=now())
            await Members(world.engine).upsert([one], now())
            id = await world.carillon.tell_member(SHOP.id, one.member_id, Registered(event_id="r"))
            agenda = await world.until(id, lambda agenda: len(agenda.done) == 1)
            shown = agenda_markdown(agenda)
            if name == "ada":
                assert "sms refused: automatic SMS is barred" in shown
                assert "email sent instead" in shown
            report = await world.to_the_end(id)
            assert (report.sent, report.left_out) == (3, 0)
        assert Counter(name.partition("-")[0] for name in post.readers) == {"ada": 3, "bo": 3}


@requirement("LS-50", "LS-51")
async def test_the_progress_of_a_wave_says_how_many_it_reached_by_another_channel(
    temporal: Client, tmp_path: Path
) -> None:
    """Each member counts once."""
    async with a_barred_shop(temporal, tmp_path) as (world, _):
        at = at_ten()
        words = {"en": Words("We are open on Sundays.", "Sundays")}
        await run(world, task(TaskKind.PROMOTION, channels=BY_SMS, everybody=True, words=words), at)
        stamp = f"{at:%Y%m%dT%H%MZ}"
        handle = world.client.get_workflow_handle(wave_workflow_id(SHOP.id, f"promotion-{stamp}"))
        found: Progress = await handle.query(WaveWorkflow.progress)
        assert (found.selected, found.counts.sent, found.counts.instead) == (3, 2, 2)
        assert dict(found.counts.skipped) == {"trade_ban": 1}
