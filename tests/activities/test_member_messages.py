"""What a provider is given for a member: the title of a push message, and how an email can be stopped."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

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
from channels.base import Abilities, Channel, Message, Receipt
from channels.registry import Channels
from models.agenda import Delivery
from models.merchant import EmailProvider, PushProvider
from models.notices import Kind
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


async def given(engine: AsyncEngine, kind: Kind, channel: str) -> Message:
    """What the provider of that channel is given for a sample of that kind, at noon of its day."""
    one = sample(kind)
    shop = replace(one.merchant, email_provider=EmailProvider.CONSOLE, push_provider=PushProvider.CONSOLE)
    at = one.notice.due.replace(hour=4)
    recipient = replace(one.notice.recipient, push="token-1")
    notice = replace(one.notice, recipient=recipient, channels=(channel,), due=at)
    provider, log = Kept(), MessageLog(engine)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={"console": cast(Channel, provider)})
    handing_over = HandingOver(log, channels, Rates(engine))
    delivery = Delivery(notice, one.content, shop.id, "member:lumi:m1")
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
