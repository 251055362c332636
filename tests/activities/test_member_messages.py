"""What a provider is given for a member: the title of a push message, and how an email can be stopped."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Attempt, Item
from activities.handing_over import HandingOver
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from activities.template_samples import sample
from channels.base import Abilities, Channel, Message, Receipt, can_carry
from channels.fcm import FcmChannel
from channels.registry import Channels
from models.agenda import Delivery
from models.merchant import EmailProvider, PushProvider
from models.notices import Kind
from models.policy import ClassPolicy, GatePolicy
from tests.requirements import requirement


@dataclass
class Kept:
    """A provider that keeps what it was given."""

    provider: str = "console"
    abilities: Abilities = Abilities()  # noqa: RUF009 - it cannot be changed
    messages: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> Receipt:
        self.messages.append(message)
        return Receipt(self.provider, "id")

    async def close(self) -> None:
        """Nothing stays open."""


async def given(engine: AsyncEngine, kind: Kind, channel: str, **changes: Any) -> Message:
    """What the provider of that channel is given for a sample of that kind, at noon of its day."""
    one = sample(kind)
    shop = replace(
        one.merchant,
        email_provider=EmailProvider.CONSOLE,
        push_provider=PushProvider.CONSOLE,
        gate=GatePolicy(promotional=ClassPolicy()),
    )
    at = one.notice.due.replace(hour=4)
    recipient = replace(one.notice.recipient, push="token-1")
    notice = replace(one.notice, recipient=recipient, channels=(channel,), due=at)
    provider, log = Kept(), MessageLog(engine)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={"console": cast(Channel, provider)})
    handing_over = HandingOver(log, channels, Rates(engine))
    content: Any = replace(one.content, **changes)
    delivery = Delivery(notice, content, shop.id, "member:lumi:m1")
    pipeline = Pipeline(log, Standings(engine), Renderer(), handing_over)
    await pipeline.send([Item(delivery, channel, shop)], Attempt("first", at, timedelta))
    (message,) = provider.messages
    return message


@requirement("LOY-24")
async def test_a_push_message_reaches_the_provider_as_title_and_text(engine: AsyncEngine) -> None:
    """To the token of the app, and nothing that push cannot carry."""
    message = await given(engine, Kind.BIRTHDAY, "push")
    assert (message.to, message.subject, message.html) == ("token-1", "Happy birthday, Mei Lin!", "")
    assert message.text.startswith("Lumi Studio wishes you a wonderful day.")


@requirement("LOY-24")
async def test_a_push_message_reaches_the_provider_with_its_picture(engine: AsyncEngine) -> None:
    """Text and image: what push can carry. An email has it in its page, and is otherwise as it was."""
    picture = "https://lumi.example/a.png"
    push = await given(engine, Kind.PROMOTION, "push", image=picture)
    assert (push.image_url, can_carry(FcmChannel.abilities, push)) == (picture, None)
    email = await given(engine, Kind.PROMOTION, "email", image=picture)
    assert (email.image_url, picture in email.html) == ("", True)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (Kind.BIRTHDAY, "mailto:hello@lumi.example?subject=unsubscribe%20loyalty"),
        (Kind.MEMBER_WELCOME, ""),
    ],
)
async def test_an_email_that_may_be_declined_carries_how(engine: AsyncEngine, kind: Kind, url: str) -> None:
    """A List-Unsubscribe for what may be declined, none for what is owed."""
    assert (await given(engine, kind, "email")).unsubscribe_url == url
