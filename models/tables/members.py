"""Members, the groups that they are in, and the codes that verify their phones."""

from datetime import date, datetime

from sqlmodel import Field, Index, SQLModel


class MemberRow(SQLModel, table=True):
    """One member. `birthday` is month times 100 plus day, 0 where it is not known. `granted`: a member at
    all, and not somebody whose phone is still to be verified. [WACA-35]

    `memory`: what its lifecycle keeps between two lives, as JSON. `revision` rises with every change.
    """

    __tablename__ = "members"
    __table_args__ = (
        Index("ix_members_birthday", "merchant_id", "birthday"),
        Index("ix_members_phone", "merchant_id", "phone"),
        Index("ix_members_customer_id", "merchant_id", "customer_id"),
    )

    merchant_id: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(primary_key=True, max_length=64)
    name: str
    email: str = Field(default="", max_length=320)
    phone: str = Field(default="", max_length=32)
    push: str = Field(default="", max_length=512)
    locale: str = Field(default="", max_length=16)
    zone: str = Field(default="", max_length=64)
    birth_date: date | None = None
    birthday: int = 0
    branch_id: str = Field(default="", max_length=64)
    customer_id: str = Field(default="", max_length=200)
    granted: bool = True
    registered_at: datetime
    updated_at: datetime
    revision: int = 1
    memory: str = ""


class MemberGroupRow(SQLModel, table=True):
    """One member in one group. [LS-03, LS-12]"""

    __tablename__ = "member_groups"
    __table_args__ = (Index("ix_member_groups_member", "merchant_id", "member_id"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    group_id: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(primary_key=True, max_length=64)


class PhoneCodeRow(SQLModel, table=True):
    """One code made for one phone. Only its salted hash is kept. [WACA-35]

    `reference`: the sending that it belongs to. Each attempt at one makes a code of its own, and where the
    answer of a provider was lost any of them may be on the phone. `state`: open, answered, spent (too many
    wrong answers), replaced by a later one, or unsent. `wrong`: answers that were wrong, of all its sending.
    """

    __tablename__ = "phone_codes"
    __table_args__ = (Index("ix_phone_codes_phone", "merchant_id", "phone", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    member_id: str = Field(max_length=64)
    phone: str = Field(max_length=32)
    reference: str = Field(max_length=64)
    salt: str = Field(max_length=64)
    hash: str = Field(max_length=128)
    state: str = Field(max_length=16)
    wrong: int = 0
    at: datetime
    expires_at: datetime
