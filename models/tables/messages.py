"""The message log: one row for each notice and channel, written before anything leaves."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text

TROUBLED = "status = 'waiting' OR status = 'missed' OR status = 'uncertain'"
"""The messages that the staff may have to hear of, few among all: an index holds only them."""


class MessageStatus(StrEnum):
    """Where a message stands. The first four are on the way, the others are final."""

    WAITING = "waiting"
    """Nothing has left: the last attempt failed cleanly and another comes."""
    DEFERRED = "deferred"
    """The gate holds it back for a while: nothing has left."""
    CLAIMED = "claimed"
    """An attempt holds it: nothing has left yet."""
    HANDING_OVER = "handing_over"
    """An attempt is handing it over, and may have done so."""
    SENT = "sent"
    DELIVERED = "delivered"
    """Sent, and the provider has told that it arrived."""
    UNDELIVERED = "undelivered"
    """Sent, and the provider has told that it did not arrive and will not."""
    REFUSED = "refused"
    FAILED = "failed"
    MISSED = "missed"
    LAPSED = "lapsed"
    UNCERTAIN = "uncertain"


class MessageRow(SQLModel, table=True):
    """One message. The unique key is the claim: nobody sends what somebody else has claimed.

    `token` names the attempt that holds the claim, and may be about it until `alive_until`. `doubtful`: an
    attempt died, or lost its answer, after it may have handed the message over. `rule` is the check of the
    gate that decided, under the rules of `policy_version`; `held` is what held it back before that, a line
    each. Instants are UTC, by the lifecycle's clock.

    `told_at`: when the provider's last word came on what became of it. `ask_at`: when the provider is asked
    next, None when it is not; `asks`: how often it was. These three are by the real clock.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("notice_key", "channel", name="one_message_per_notice_and_channel"),
        Index("ix_messages_merchant_id_address", "merchant_id", "address"),
        Index(
            "ix_messages_provider_id",
            "provider",
            "provider_id",
            sqlite_where=text("provider_id <> ''"),
            postgresql_where=text("provider_id <> ''"),
        ),
        Index(
            "ix_messages_ask_at",
            "ask_at",
            sqlite_where=text("ask_at IS NOT NULL"),
            postgresql_where=text("ask_at IS NOT NULL"),
        ),
        Index(
            "ix_messages_troubled",
            "status",
            "settled_at",
            sqlite_where=text(TROUBLED),
            postgresql_where=text(TROUBLED),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    notice_key: str = Field(max_length=500)
    channel: str = Field(max_length=32)
    merchant_id: str = Field(max_length=64)
    lifecycle: str = Field(max_length=200, index=True)
    kind: str = Field(max_length=64)
    role: str = Field(max_length=32)
    recipient: str = ""
    address: str = ""
    locale: str = ""
    subject: str = ""
    text: str = ""
    segments: int = 0
    status: str = Field(default=MessageStatus.CLAIMED, max_length=16)
    reason: str = ""
    rule: str = Field(default="", max_length=32, sa_column_kwargs={"server_default": ""})
    policy_version: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    held: str = Field(default="", sa_column_kwargs={"server_default": ""})
    provider: str = Field(default="", max_length=32)
    provider_id: str = Field(default="", max_length=128)
    doubtful: bool = False
    attempts: int = 0
    token: str = Field(default="", max_length=200)
    due: datetime
    not_after: datetime
    claimed_at: datetime | None = None
    alive_until: datetime | None = None
    settled_at: datetime | None = None
    told_at: datetime | None = None
    ask_at: datetime | None = None
    asks: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
