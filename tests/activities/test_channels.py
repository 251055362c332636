"""All providers from one set of settings, and the one that only shows."""

from dataclasses import replace

import pytest

from channels.base import (
    EMAIL_CONTENT,
    PUSH_CONTENT,
    SMS_CONTENT,
    SOCIAL_CONTENT,
    VIBER_CONTENT,
    Abilities,
    Attachment,
    Content,
    Credentials,
    DeliveryError,
    Message,
    can_carry,
)
from channels.registry import Channels
from models.merchant import SmsProvider
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
        ("sms", "smtp", "console, smartdove, smpp, twilio, twsms"),
        ("push", "twsms", "console, fcm"),
        ("email", "twsms", "console, smtp, smtp_backup"),
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
        push = replace(SMS, image_url="https://x.tw/a.png", button=("Book", "https://x.tw/b"))
        await channels.get("push", "console").send(push)
        own = channels.get("email", "console")
    assert receipt.provider == "console"
    assert SMS.text in written[0]
    assert "8 UCS-2, 1 segment(s)" in written[0]
    for part in (MAIL.subject, MAIL.to, "王小明", "a.ics", "https://x.tw/u"):
        assert part in written[1]
    for part in (push.text, push.image_url, "Book", "https://x.tw/b"):
        assert part in written[2]
    async with Channels.from_environment({}, extra={"smtp": own}) as channels:
        assert channels.get("email", "smtp") is own
        assert channels.get("line", "smtp") is own


TEXT = replace(SMS, text="Hi")
IMAGE = replace(SMS, text="", image_url="https://x.tw/a.png")
TEXT_IMAGE = replace(TEXT, image_url="https://x.tw/a.png")
TEXT_BUTTON = replace(TEXT, button=("Book", "https://x.tw/b"))
TEXT_IMAGE_BUTTON = replace(TEXT_IMAGE, button=("Book", "https://x.tw/b"))
HTML = replace(TEXT, html="<p>Hi</p>")
FILE = replace(TEXT, attachments=(Attachment("a.ics", "text/calendar", b"x"),))
EVERY = (TEXT, IMAGE, TEXT_IMAGE, TEXT_BUTTON, TEXT_IMAGE_BUTTON, HTML, FILE)


@requirement("LOY-22", "LOY-23", "LOY-24", "LOY-25", "LOY-26")
@pytest.mark.parametrize(
    ("content", "carried"),
    [
        (SMS_CONTENT, [TEXT]),
        (EMAIL_CONTENT, [TEXT, HTML, FILE]),
        (PUSH_CONTENT, [TEXT, IMAGE, TEXT_IMAGE]),
        (VIBER_CONTENT, [TEXT, IMAGE, TEXT_BUTTON, TEXT_IMAGE_BUTTON]),
        (SOCIAL_CONTENT, [TEXT]),
        (frozenset(Content), list(EVERY)),
    ],
)
def test_a_kind_of_channel_carries_what_it_can_and_nothing_else(
    content: frozenset[Content], carried: list[Message]
) -> None:
    """SMS and social networks text only; push text, image or both; Viber a button only behind a text."""
    abilities = Abilities(content=content)
    assert [message for message in EVERY if can_carry(abilities, message) is None] == carried


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(FILE, html="<p>"), "the message is html + attachments, and the provider carries only text"),
        (TEXT_IMAGE, "the message is text_image, and the provider carries only text"),
        (replace(IMAGE, button=("Book", "https://x.tw/b")), "a button needs a text"),
        (replace(SMS, text=""), "the message has neither text nor image"),
    ],
)
def test_what_cannot_be_carried_is_said_in_a_sentence(message: Message, reason: str) -> None:
    """For the history, and for whoever made the template."""
    assert can_carry(Abilities(content=SMS_CONTENT), message) == reason


async def test_every_provider_declares_what_its_kind_of_channel_carries() -> None:
    """And none needs a setting, or a connection, to be asked."""
    async with Channels.from_environment({}) as channels:
        declared = {
            ("email", "smtp"): EMAIL_CONTENT,
            ("push", "fcm"): PUSH_CONTENT,
            **{("sms", name): SMS_CONTENT for name in ("twsms", "smartdove", "smpp", "twilio")},
        }
        for (channel, provider), content in declared.items():
            assert channels.get(channel, provider).abilities.content == content
        for name in set(SmsProvider) - {SmsProvider.OFF}:
            assert channels.get("sms", name).provider == name


@pytest.mark.parametrize(
    ("reason", "code", "told"),
    [
        ("no such number", "21211", "no such number [21211]"),
        ("Twilio 21211: no such number", "21211", "Twilio 21211: no such number"),
        ("the provider answered HTTP 503: busy", "http_503", "the provider answered HTTP 503: busy"),
        ("CARILLON_SMPP_HOST is not set", "not_configured", "CARILLON_SMPP_HOST is not set [not_configured]"),
        ("gone", "", "gone"),
    ],
)
def test_the_history_is_told_the_code_once(reason: str, code: str, told: str) -> None:
    """Behind the reason, where that does not name it."""
    assert DeliveryError(reason, code=code).told == told


def test_a_dead_address_is_final() -> None:
    """Whoever asks only whether to try again gets the right answer."""
    assert DeliveryError("gone", dead_address=True).permanent
    assert not DeliveryError("refused", permanent=True).dead_address


@pytest.mark.parametrize(
    ("value", "switched"), [("", False), ("yes", True), ("ON", True), ("0", False), ("false", False)]
)
def test_a_switch_is_set_in_any_of_the_usual_ways(value: str, switched: bool) -> None:
    """And anything else is named, with what may stand there."""
    assert Credentials({"CARILLON_X_TLS": value}).switch("X_TLS", "lumi") is switched
    with pytest.raises(DeliveryError, match="CARILLON_X_TLS is not yes or no"):
        Credentials({"CARILLON_X_TLS": "perhaps"}).switch("X_TLS", "lumi")
