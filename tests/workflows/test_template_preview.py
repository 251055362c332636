"""`template preview --lifecycle`: a message with what a real booking has to say."""

import pytest

from activities.rendering import Renderer
from commands.failures import Mistake
from commands.reach import Reach
from commands.template_real import real
from models.booking_facts import Accepted
from models.own_template import Place
from tests.world import ADA, World, booking, service


async def test_a_preview_says_what_the_booking_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is owed is shown as things stand; what went, as it would go now; what is not, is named."""
    monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
    reach = Reach(address=world.client.service_client.config.target_host)
    lifecycle = await world.start(booking(service("s1", 10, ADA, name="Tea ceremony")))
    place = Place("order_placed", "en", "email")
    one, own = await real(reach, lifecycle, place)
    message = Renderer().render(one.notice, one.content, one.merchant, place.channel, own)
    assert lifecycle.endswith(message.subject.split()[2])
    assert "Tea ceremony" in message.text
    assert "808-1234567890123" in message.text
    with pytest.raises(Mistake, match="has no voucher notice"):
        await real(reach, lifecycle, Place("voucher", "en", "email"))
    await world.tell(lifecycle, Accepted(event_id="a-1"))
    one, own = await real(reach, lifecycle, Place("pre_visit", "fr", "sms"))
    message = Renderer().render(one.notice, one.content, one.merchant, "sms", own)
    assert message.locale == "fr"
    assert "Tea ceremony" in message.text
