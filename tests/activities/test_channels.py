"""All providers from one set of settings, and the one that only shows."""

from dataclasses import replace

import pytest

from channels.base import Attachment, DeliveryError, Message
from channels.registry import Channels
from tests.providers import FakeSmartdove, FakeTwSms, MailSink
from tests.requirements import requirement

MAIL = Message(
    key="booking:lumi:b1/pre_visit/participant",
    merchant_id="lumi",
    to="ming@example.com",
    to_name="王小明",
    subject="預約提醒:明天 15:00",
    text="明天見!",
)
SMS = Message(key="coupon:lumi:c1/issued/m1", merchant_id="lumi", to="+886912345678", text="您的優惠券已送達")


@requirement("WACA-02", "WACA-21")
async def test_email_and_sms_go_by_the_provider_that_the_shop_picked() -> None:
    """The same SMS through either provider, the mail beside it, from one set of settings."""
    async with FakeTwSms() as twsms, FakeSmartdove() as smartdove, MailSink() as sink:
        environment = {**twsms.environment, **smartdove.environment, **sink.environment}
        async with Channels.from_environment(environment) as channels:
            await channels.get("email", "smtp").send(MAIL)
            for provider in ("twsms", "smartdove"):
                await channels.get("sms", provider).send(SMS)
    assert [s.message for s in twsms.accepted] == [s.message for s in smartdove.accepted] == [SMS.text]
    assert len(sink.mails) == 1


@pytest.mark.parametrize(
    ("channel", "provider", "allowed"),
    [
        ("sms", "smtp", "console, smartdove, twsms"),
        ("email", "twsms", "console, smtp"),
        ("line", "x", "none"),
    ],
)
async def test_an_unknown_provider_is_answered_with_the_known_ones(
    channel: str, provider: str, allowed: str
) -> None:
    """A typing error in a merchant's settings explains itself."""
    async with Channels.from_environment({}) as channels:
        with pytest.raises(DeliveryError, match=f"there is: {allowed}$") as caught:
            channels.get(channel, provider)
    assert (caught.value.permanent, caught.value.code) == (False, "unknown_provider")


async def test_the_console_shows_a_message_and_an_extra_provider_wins() -> None:
    """A developer reads what would have been sent; a test may put its own channel in any place."""
    written: list[str] = []
    async with Channels.from_environment({}, write=written.append) as channels:
        receipt = await channels.get("sms", "console").send(SMS)
        invitation = Attachment("a.ics", "text/calendar", b"x")
        mail = replace(MAIL, attachments=(invitation,), unsubscribe_url="https://x.tw/u")
        await channels.get("email", "console").send(mail)
        own = channels.get("email", "console")
    assert receipt.provider == "console"
    assert SMS.text in written[0]
    assert "8 UCS-2, 1 segment(s)" in written[0]
    for part in (MAIL.subject, MAIL.to, "王小明", "a.ics", "https://x.tw/u"):
        assert part in written[1]
    async with Channels.from_environment({}, extra={"smtp": own}) as channels:
        assert channels.get("email", "smtp") is own
        assert channels.get("line", "smtp") is own
