"""A value that is made by the thousand is like every other value, but cheaper to make."""

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from models.agenda import Delivery, Notice
from models.light import light
from models.member_content import CouponView, MemberContent
from models.notices import Kind
from models.people import Person, Role

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Usual:
    """As it would be."""

    name: str
    of: list[str] = field(default_factory=list, hash=False)
    secret: str = field(default="", repr=False)


@light
@dataclass(frozen=True)
class Light:
    """The same."""

    name: str
    of: list[str] = field(default_factory=list, hash=False)
    secret: str = field(default="", repr=False)


def test_it_is_compared_hashed_and_shown_as_before() -> None:
    """Fields with a default made anew for each, too, and those that are not shown."""
    one, other = Light("Ada", secret="x"), Light("Ada", secret="x")
    assert one == other
    assert hash(one) == hash(other) == hash(Usual("Ada", secret="x"))
    assert one != Light("Ada")
    assert repr(one) == repr(Usual("Ada", secret="x")).replace("Usual", "Light")
    assert replace(one, name="Eva") == Light("Eva", [], "x")
    assert one.of is not other.of
    assert [each.name for each in fields(Light)] == ["name", "of", "secret"]


def test_the_values_of_a_page_can_be_kept_in_a_set() -> None:
    """Two that say the same are one."""
    person = Person("Ada", phone="+886912345678")
    notice = Notice("key", Kind.COUPON_ISSUED, Role.MEMBER, person, ("sms",), NOON, NOON)
    content = MemberContent(
        "ada", "Asia/Taipei", coupon=CouponView("Spring", "CODE", NOON.date(), NOON.date())
    )
    delivery = Delivery(notice, content, "lumi", "coupon:lumi:spring")
    assert len({delivery, replace(delivery), replace(delivery, lifecycle="other")}) == 2


def test_it_is_made_without_a_call_for_each_field() -> None:
    """That is what is saved."""
    assert "__setattr__" in Usual.__init__.__code__.co_names
    assert "__setattr__" not in Light.__init__.__code__.co_names


def test_mypy_lets_nobody_change_it() -> None:
    """Python would. `make check` fails as soon as mypy does not complain of what these comments excuse."""
    person, one = Person("Ada"), Light("Ada")
    person.name = one.name = "Eva"  # type: ignore[misc]
    assert (person, one) == (Person("Eva"), Light("Eva"))
