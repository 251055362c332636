"""The catalogue: one row for each kind of notice. Docs and tests are made from this table."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from models.people import Role


class NoticeClass(IntEnum):
    """What a notice is for; the number is its priority, 1 first."""

    SECURITY = 1
    TRANSACTIONAL = 2
    REMINDER = 3
    LOYALTY = 4
    PROMOTIONAL = 5

    @property
    def word(self) -> str:
        """`promotional`: how files and tables name it."""
        return self.name.lower()


class Kind(StrEnum):
    """A kind of notice; also the name of its template folder."""

    ORDER_PLACED = "order_placed"
    ORDER_FAILED = "order_failed"
    PAYMENT_RECEIVED = "payment_received"
    PAYMENT_REMINDER = "payment_reminder"
    ORDER_CANCELLED = "order_cancelled"
    VOUCHER = "voucher"
    VOUCHER_CHANGED = "voucher_changed"
    PRE_VISIT = "pre_visit"
    SERVICE_ASSIGNMENT = "service_assignment"
    SMS_POINTS_LOW = "sms_points_low"
    PHONE_CODE = "phone_code"
    MEMBER_WELCOME = "member_welcome"
    INVITATION = "invitation"
    INVITATION_AGAIN = "invitation_again"
    COUPON_ISSUED = "coupon_issued"
    COUPON_EXPIRING = "coupon_expiring"
    BONUS_ACTIVATION = "bonus_activation"
    BONUS_BURN = "bonus_burn"
    BIRTHDAY = "birthday"
    PROMOTION = "promotion"


class Due(StrEnum):
    """When a notice falls due. The hours and days are merchant policy."""

    AT_ONCE = "when it happens"
    BEFORE_DEADLINE = "the day before the payment deadline"
    BEFORE_SESSION = "two days before the session"
    QUIET = "two weeks after the registration, or after the last purchase"
    STILL_QUIET = "two weeks after the first invitation fell due"
    COUPON_ISSUE = "15:00 on the coupon's issue day"
    COUPON_END = "15:00 seven days before the coupon's last day"
    TASK = "when its regular task runs"
    BIRTHDAY = "10:00 of the member's birthday"


class Window(StrEnum):
    """The last moment at which a notice still means something; later it is missed, never sent."""

    PROMPT = "24 hours after it happened"
    DEADLINE = "the payment deadline"
    SESSION_START = "the session's start, or 24 hours after it happened if that is later"
    VOUCHER = "the start of the last session on it"
    BEFORE_SESSION = "24 hours before the session"
    CODE = "the end of the code"
    DAY = "24 hours after it fell due"
    THREE_DAYS = "72 hours after it fell due"
    LOCAL_DAY = "the end of that day, on the member's clock"


class Editable(StrEnum):
    """What a merchant may change of the texts. [WACA-04, WACA-05, WACA-23]"""

    FIXED = "nothing"
    SMS = "the SMS text"
    SMS_AND_NOTES = "the SMS text and the pre-visit notes"
    EVERY_TEXT = "the email, the SMS and the push text"
    """For loyalty and promotional notices only: the emails about orders are fixed."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels whose whole text a merchant may write."""
        match self:
            case Editable.FIXED:
                return ()
            case Editable.EVERY_TEXT:
                return ("email", "sms", "push")
            case _:
                return ("sms",)


@dataclass(frozen=True)
class Row:
    """One kind of notice.

    `routes`: every route is taken, or those that the merchant chooses; within one, the first channel that can
    is, the others are its fallback. [LS-50]
    `line_case`: the scenario of LINE notification messages that it fits, if any. [CRES-11 to CRES-19]
    """

    kind: Kind
    notice_class: NoticeClass
    role: Role
    routes: tuple[tuple[str, ...], ...]
    due: Due
    window: Window
    editable: Editable
    requirements: tuple[str, ...]
    line_case: int | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The first choice of every route."""
        return tuple(route[0] for route in self.routes)

    def chain(self, channel: str, own: Collection[str]) -> tuple[str, ...]:
        """A channel, and what takes its place where it cannot be used, in order.

        What the notice goes by anyway (`own`) takes no other's place: nobody is told the same twice.
        """
        route = next((route for route in self.routes if channel in route), (channel,))
        later = route[route.index(channel) + 1 :]
        return (channel, *(link for link in later if link not in own))


EMAIL_AND_SMS = (("email",), ("sms",))
EMAIL = (("email",),)
SMS = (("sms",),)
SMS_ELSE_EMAIL = (("sms", "email"),)
"""The email is for where no SMS can go: a shop that is barred from it, a member without a phone. [LS-50]"""
EVERY_CHANNEL = (("email",), ("sms", "email"), ("push",))
"""Of these the merchant chooses. [LOY-02, LOY-63, LOY-72, LOY-82]"""

_ROWS = (
    Row(
        Kind.ORDER_PLACED,
        NoticeClass.TRANSACTIONAL,
        Role.BOOKER,
        EMAIL_AND_SMS,
        Due.AT_ONCE,
        Window.PROMPT,
        Editable.SMS,
        ("WACA-10", "WACA-30"),
        line_case=3,
    ),
    Row(
        Kind.ORDER_FAILED,
        NoticeClass.TRANSACTIONAL,
        Role.BOOKER,
        EMAIL_AND_SMS,
        Due.AT_ONCE,
        Window.PROMPT,
        Editable.SMS,
        ("WACA-11", "WACA-31"),
    ),
    Row(
        Kind.PAYMENT_RECEIVED,
        NoticeClass.TRANSACTIONAL,
        Role.BOOKER,
        EMAIL_AND_SMS,
        Due.AT_ONCE,
        Window.PROMPT,
        Editable.SMS,
        ("WACA-12", "WACA-32"),
        line_case=1,
    ),
    Row(
        Kind.PAYMENT_REMINDER,
        NoticeClass.REMINDER,
        Role.BOOKER,
        EMAIL_AND_SMS,
        Due.BEFORE_DEADLINE,
        Window.DEADLINE,
        Editable.SMS,
        ("WACA-13", "WACA-33"),
        line_case=8,
    ),
    Row(
        Kind.ORDER_CANCELLED,
        NoticeClass.TRANSACTIONAL,
        Role.BOOKER,
        EMAIL_AND_SMS,
        Due.AT_ONCE,
        Window.SESSION_START,
        Editable.SMS,
        ("WACA-14", "WACA-34"),
    ),
    Row(
        Kind.VOUCHER,
        NoticeClass.TRANSACTIONAL,
        Role.PARTICIPANT,
        EMAIL,
        Due.AT_ONCE,
        Window.VOUCHER,
        Editable.FIXED,
        ("WACA-15",),
    ),
    Row(
        Kind.VOUCHER_CHANGED,
        NoticeClass.TRANSACTIONAL,
        Role.PARTICIPANT,
        EMAIL,
        Due.AT_ONCE,
        Window.SESSION_START,
        Editable.FIXED,
        ("WACA-16",),
    ),
    Row(
        Kind.PRE_VISIT,
        NoticeClass.REMINDER,
        Role.PARTICIPANT,
        EMAIL_AND_SMS,
        Due.BEFORE_SESSION,
        Window.BEFORE_SESSION,
        Editable.SMS_AND_NOTES,
        ("WACA-17", "WACA-36"),
        line_case=4,
    ),
    Row(
        Kind.SERVICE_ASSIGNMENT,
        NoticeClass.TRANSACTIONAL,
        Role.SERVICE_PARTNER,
        EMAIL,
        Due.AT_ONCE,
        Window.VOUCHER,
        Editable.FIXED,
        ("WACA-18",),
    ),
    Row(
        Kind.SMS_POINTS_LOW,
        NoticeClass.TRANSACTIONAL,
        Role.MERCHANT,
        EMAIL,
        Due.AT_ONCE,
        Window.PROMPT,
        Editable.FIXED,
        ("WACA-29b",),
    ),
    Row(
        Kind.PHONE_CODE,
        NoticeClass.SECURITY,
        Role.MEMBER,
        SMS,
        Due.AT_ONCE,
        Window.CODE,
        Editable.SMS,
        ("WACA-35",),
    ),
    Row(
        Kind.MEMBER_WELCOME,
        NoticeClass.TRANSACTIONAL,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.AT_ONCE,
        Window.PROMPT,
        Editable.EVERY_TEXT,
        ("LOY-31",),
        line_case=5,
    ),
    Row(
        Kind.INVITATION,
        NoticeClass.PROMOTIONAL,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.QUIET,
        Window.THREE_DAYS,
        Editable.EVERY_TEXT,
        ("LOY-50", "LOY-51", "LOY-53"),
    ),
    Row(
        Kind.INVITATION_AGAIN,
        NoticeClass.PROMOTIONAL,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.STILL_QUIET,
        Window.THREE_DAYS,
        Editable.EVERY_TEXT,
        ("LOY-52", "LOY-53"),
    ),
    Row(
        Kind.COUPON_ISSUED,
        NoticeClass.LOYALTY,
        Role.MEMBER,
        SMS_ELSE_EMAIL,
        Due.COUPON_ISSUE,
        Window.DAY,
        Editable.SMS,
        ("WACA-37",),
    ),
    Row(
        Kind.COUPON_EXPIRING,
        NoticeClass.LOYALTY,
        Role.MEMBER,
        SMS_ELSE_EMAIL,
        Due.COUPON_END,
        Window.DAY,
        Editable.SMS,
        ("WACA-38",),
    ),
    Row(
        Kind.BONUS_ACTIVATION,
        NoticeClass.LOYALTY,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.TASK,
        Window.DAY,
        Editable.EVERY_TEXT,
        ("LOY-60", "LOY-61", "LOY-62", "LOY-63"),
    ),
    Row(
        Kind.BONUS_BURN,
        NoticeClass.LOYALTY,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.TASK,
        Window.DAY,
        Editable.EVERY_TEXT,
        ("LOY-70", "LOY-71", "LOY-72"),
    ),
    Row(
        Kind.BIRTHDAY,
        NoticeClass.LOYALTY,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.BIRTHDAY,
        Window.LOCAL_DAY,
        Editable.EVERY_TEXT,
        ("LOY-80", "LOY-81", "LOY-82"),
    ),
    Row(
        Kind.PROMOTION,
        NoticeClass.PROMOTIONAL,
        Role.MEMBER,
        EVERY_CHANNEL,
        Due.TASK,
        Window.DAY,
        Editable.EVERY_TEXT,
        ("LS-02", "LS-03"),
    ),
)

CATALOGUE: dict[Kind, Row] = {row.kind: row for row in _ROWS}
"""Every kind of notice that Carillon knows. The first channels are those of WACA-39 where it names them."""


def ways(kind: Kind, channels: Collection[str]) -> str:
    """By what a notice goes, for a reader: `email, push`, or `sms else email`."""
    row = CATALOGUE[kind]
    return ", ".join(" else ".join(row.chain(channel, channels)) for channel in channels)
