"""A message that wants to go, and all that is known of whom it goes to and from."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from models.agenda import Notice
from models.channels import SMS
from models.consent import Consent
from models.merchant import Merchant
from models.notices import CATALOGUE, NoticeClass, Row
from models.policy import ClassPolicy


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found, at the moment of sending, about one recipient on one channel for one class.

    `suspended`, `suppressed`, `address_problem`: why, or empty where there is nothing of the kind.
    `zone`: where the recipient's clock is known to stand; empty is the merchant's zone.
    `sent_today`: messages of the class to this address since the recipient's midnight, which is `since`;
    None where there is no cap.
    `quota_left`, `credits_left`: None where nothing is counted.
    """

    consent: Consent = Consent.NOT_ASKED
    verified: bool = False
    suspended: str = ""
    suppressed: str = ""
    address_problem: str = ""
    zone: str = ""
    sent_today: int = 0
    quota_left: int | None = None
    credits_left: Decimal | None = None
    domestic: bool = True
    since: datetime | None = None


@dataclass(slots=True)
class Proposal:
    """A message that wants to go: this notice, by this channel, at this moment (UTC).

    It is filled in on its way: `standing` first; `text`, `segments` and `notes`, the block that the merchant
    wrote into it, once it is rendered. `row` is the catalogue's for the kind of notice, unless another is
    given. `branch_id`: the outlet whose quota it counts in; blank is the merchant itself. `kind_row` is what
    the catalogue says of the notice, and `class_policy` how the merchant treats its class.
    """

    notice: Notice
    channel: str
    merchant: Merchant
    now: datetime
    standing: Standing = Standing()
    text: str = ""
    segments: int = 0
    notes: str = ""
    row: Row | None = None
    branch_id: str = ""
    kind_row: Row = field(init=False)
    class_policy: ClassPolicy = field(init=False)

    def __post_init__(self) -> None:
        self.kind_row = self.row or CATALOGUE[self.notice.kind]
        self.class_policy = self.merchant.gate.of(self.notice_class)

    @property
    def notice_class(self) -> NoticeClass:
        return self.kind_row.notice_class

    @property
    def confirmed_only(self) -> bool:
        """Whether it goes to a confirmed address only. Nothing here confirms any but phones. [WACA-35]"""
        return self.channel == SMS and self.class_policy.verified

    @property
    def zone(self) -> str:
        """Where the recipient's clock stands."""
        return self.standing.zone or self.merchant.zone
