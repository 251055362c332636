"""Every audience that a wave can go to, by its name."""

from activities.audience import Selection
from activities.audience_birthdays import BirthdaysAudience
from activities.audience_bonuses import BONUS_SELECTIONS
from activities.audience_coupons import COUPON_SELECTIONS
from activities.audience_members import MembersAudience

SELECTIONS: dict[str, Selection] = {
    **BONUS_SELECTIONS,
    **COUPON_SELECTIONS,
    "birthday": BirthdaysAudience(),
    "members": MembersAudience(),
}
