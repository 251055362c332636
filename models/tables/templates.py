"""The merchants' own texts, every version of them."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint


class TemplateRow(SQLModel, table=True):
    """One version of a text. It is never changed, but for `active`: of a text one version is, or none."""

    __tablename__ = "templates"
    __table_args__ = (
        UniqueConstraint(
            "merchant_id", "kind", "locale", "channel", "version", name="one_template_a_version"
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    kind: str = Field(max_length=64)
    locale: str = Field(max_length=16)
    channel: str = Field(max_length=32)
    version: int
    subject: str = ""
    text: str
    author: str = Field(max_length=200)
    at: datetime
    active: bool
