"""What the pipeline does within a real life: another provider, a dead address, points that run out."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from temporalio.client import Client

from activities.consents import Consents
from activities.database import writing
from activities.ledger_accounts import balance, topup
from activities.message_log import MessageLog
from activities.templates import Templates
from models.agenda import Status
from models.booking_facts import PaymentReceived
from models.credits import CreditPolicy, Pool
from models.merchant import EmailProvider, SmsProvider, SmsSettings
from models.notices import Kind
from models.own_template import OwnTemplate, Place
from tests.providers import MailSink, http_error
from tests.requirements import requirement
from tests.world import ADA, MERCHANT, World, a_world, booking, now


async def rows_of(world: World, id: str, channel: str) -> list[tuple[str, str, str]]:
    rows = await MessageLog(world.engine).messages(lifecycle=id)
    return [(row["kind"], row["status"], row["rule"]) for row in reversed(rows) if row["channel"] == channel]


async def test_a_provider_that_is_down_hands_over_to_the_second_one(temporal: Client, tmp_path: Path) -> None:
    """TwSMS is away and surely has nothing: SMARTDOVE sends, in the same attempt, once."""
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.TWSMS, fallback=SmsProvider.SMARTDOVE))
    async with a_world(temporal, tmp_path, merchant=merchant) as world, world.worker():
        world.twsms.script(http_error(503))
        id = await world.start(booking())
        done = (await world.carillon.agenda(id)).done[0]
        assert {outcome.channel: outcome.provider for outcome in done.outcomes}["sms"] == "smartdove"
        assert (len(world.twsms.accepted), len(world.smartdove.accepted)) == (0, 1)


async def test_a_mail_server_that_is_down_hands_over_to_the_second_one(
    temporal: Client, tmp_path: Path
) -> None:
    """The first server takes nothing for now: the merchant's second one sends the mail, once."""
    merchant = replace(MERCHANT, email_fallback=EmailProvider.SMTP_BACKUP)
    async with MailSink() as second:
        backup = {name.replace("SMTP", "SMTP_BACKUP"): value for name, value in second.environment.items()}
        async with (
            a_world(temporal, tmp_path, merchant=merchant, environment=backup) as world,
            world.worker(),
        ):
            world.mail_sink.refuse = lambda _: "451 4.3.0 try again later"
            id = await world.start(booking())
            done = (await world.carillon.agenda(id)).done[0]
            assert {outcome.channel: outcome.provider for outcome in done.outcomes}["email"] == "smtp_backup"
            assert (len(world.mails), len(second.mails)) == (0, 1)


async def test_nothing_more_goes_to_a_dead_address_until_it_is_lifted(world: World) -> None:
    """The mailbox does not exist: the next notice is refused with the reason, and goes once it is lifted."""
    world.mail_sink.refuse = lambda _: "550 5.1.1 no such user"
    id = await world.start(booking())
    world.mail_sink.refuse = None
    agenda = await world.tell(id, PaymentReceived(event_id="pay"))
    assert await rows_of(world, id, "email") == [
        ("order_placed", "failed", ""),
        ("payment_received", "refused", "suppression"),
    ]
    refused = next(o for o in agenda.done[-1].outcomes if o.channel == "email")
    assert refused.status is Status.REFUSED
    assert "no such user" in refused.reason
    assert await Consents(world.engine).lift("lumi", "email", ADA.email, now())
    again = await world.start(booking())
    assert await rows_of(world, again, "email") == [("order_placed", "sent", "")]


@requirement("WACA-25", "WACA-28")
async def test_sms_stop_when_the_points_are_spent_and_the_email_still_goes(
    temporal: Client, tmp_path: Path
) -> None:
    """Two points: the first SMS costs 1.70 for its two segments, the second is refused and says why."""
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.SMARTDOVE), credits=CreditPolicy(enabled=True))
    async with a_world(temporal, tmp_path, merchant=merchant) as world, world.worker():
        async with writing(world.engine) as connection:
            await topup(connection, merchant, Pool.SMS, Decimal("2.00"), "first", now())
        id = await world.start(booking())
        await world.tell(id, PaymentReceived(event_id="pay"))
        async with writing(world.engine) as connection:
            assert (await balance(connection, "lumi")).sms == Decimal("0.30")
        assert await rows_of(world, id, "sms") == [
            ("order_placed", "sent", ""),
            ("payment_received", "refused", "credits"),
        ]
        assert await world.kinds_to(ADA) == ["order_placed", "payment_received"]


@requirement("WACA-23")
async def test_a_merchants_own_sms_is_what_really_leaves(world: World) -> None:
    """Saved while everything runs: the next SMS says it in the merchant's words."""
    place = Place(Kind.ORDER_PLACED, "zh-Hant", "sms")
    await Templates(world.engine).set(
        MERCHANT, OwnTemplate(place, "露米收到訂單 {{ order_number }}"), "owner", now()
    )
    made = booking()
    await world.start(made)
    assert [sms.message for sms in world.twsms.accepted] == [f"露米收到訂單 {made.booking_id}"]
