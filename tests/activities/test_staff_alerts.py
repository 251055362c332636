"""Alerts to the staff, through the real Apprise to a service on loopback."""

import pytest

from channels.base import Credentials, DeliveryError
from channels.staff import StaffAlerts
from tests.providers import FakeStaff, http_error


async def test_the_staff_is_told_at_every_address_that_is_set() -> None:
    """The merchant's own addresses win over the house's; without any, nobody is told and all is well."""
    async with FakeStaff() as house, FakeStaff() as lumi, FakeStaff() as second:
        both = " ".join(fake.environment["CARILLON_STAFF_URLS"] for fake in (lumi, second))
        staff = StaffAlerts(Credentials({**house.environment, "CARILLON_STAFF_URLS__LUMI": both}))
        assert await staff.alert("lumi", "Credits", "Fewer than 50 SMS are left") == 2
        assert await staff.alert("nova", "Worker", "A bind was lost") == 1
        assert await StaffAlerts(Credentials({})).alert("lumi", "Credits", "…") == 0
    assert [one.message for one in lumi.accepted] == ["Credits: Fewer than 50 SMS are left"]
    assert [one.message for one in second.accepted] == [one.message for one in lumi.accepted]
    assert [one.message for one in house.accepted] == ["Worker: A bind was lost"]


async def test_an_alert_that_reached_nobody_says_so_without_the_address() -> None:
    """A service that refuses is worth another attempt, and its URL is a secret; so is one that is no URL."""
    async with FakeStaff() as fake:
        fake.script(http_error(500))
        with pytest.raises(DeliveryError) as caught:
            await StaffAlerts(Credentials(fake.environment)).alert("lumi", "a", "b")
        with pytest.raises(DeliveryError, match="CARILLON_STAFF_URLS") as wrong:
            await StaffAlerts(Credentials({"CARILLON_STAFF_URLS": "nonsense://x"})).alert("lumi", "a", "b")
    assert (caught.value.permanent, caught.value.code) == (False, "staff")
    assert wrong.value.code == "not_configured"
    assert "127.0.0.1" not in caught.value.reason
    assert "nonsense" not in wrong.value.reason
