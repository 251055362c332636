"""Keeping the merchants' own texts: every version, and which of them counts. [WACA-23]"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col

from activities.database import aware, reading, writing
from activities.merchants import FRESH_SECONDS, UnknownMerchantError
from activities.template_check import TemplateRefusedError, check_template
from models.merchant import Merchant
from models.own_template import Overrides, OwnTemplate, Place, Saved
from models.tables.merchants import MerchantRow
from models.tables.templates import TemplateRow

SHIPPED_VERSION = 0
"""Activated, it takes the merchant's own text out of use."""


class UnknownVersionError(LookupError):
    """A version that was never saved; the message says which there are."""


class Templates:
    """The merchants' own texts in SQL; the active ones kept in memory for some seconds."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: dict[str, tuple[float, Overrides]] = {}

    async def of(self, merchant_id: str) -> Overrides:
        """The active texts of one merchant, for `Renderer.render`. A change takes effect within seconds."""
        kept = self._kept.get(merchant_id)
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        active: Overrides = MappingProxyType(
            {saved.template.place: saved.template for saved in await self.listed(merchant_id)}
        )
        self._kept[merchant_id] = (time.monotonic(), active)
        return active

    async def listed(self, merchant_id: str) -> list[Saved]:
        """The active texts of one merchant, by kind, locale and channel."""
        table = (col(TemplateRow.kind), col(TemplateRow.locale), col(TemplateRow.channel))
        query = _rows(merchant_id).where(col(TemplateRow.active)).order_by(*table)
        return await self._saved(query)

    async def show(self, merchant_id: str, place: Place) -> Saved | None:
        """The active text for that place, where the merchant has one."""
        query = _rows(merchant_id, place).where(col(TemplateRow.active))
        return next(iter(await self._saved(query)), None)

    async def history(self, merchant_id: str, place: Place) -> list[Saved]:
        """Every version, the newest first."""
        return await self._saved(_rows(merchant_id, place).order_by(col(TemplateRow.version).desc()))

    async def set(self, merchant: Merchant, template: OwnTemplate, author: str, now: datetime) -> Saved:
        """Save a text as a new version and use it from now on; the versions before stay as they are.

        TemplateRefusedError names everything that is wrong with it. The same text again is no new version.
        """
        checked = check_template(template, merchant)
        if checked.problems:
            raise TemplateRefusedError(template.place, checked.problems)
        place = template.place
        async with writing(self._engine) as connection:
            await _lock(connection, merchant.id)
            known = await _read(connection, _rows(merchant.id, place))
            same = [saved for saved in known if saved.active and _words(saved.template) == _words(template)]
            if same:
                return same[0]
            version = max((saved.template.version for saved in known), default=0) + 1
            await connection.execute(_use(merchant.id, place, version))
            new = OwnTemplate(place, template.text, template.subject, version)
            row = {
                **_key(merchant.id, place),
                "version": version,
                "subject": new.subject,
                "text": new.text,
                "author": author,
                "at": now.astimezone(UTC),
                "active": True,
            }
            await connection.execute(insert(TemplateRow).values(**row))
        self._kept.pop(merchant.id, None)
        return Saved(new, author, now.astimezone(UTC), active=True)

    async def activate(self, merchant_id: str, place: Place, version: int) -> None:
        """Use that version from now on; version 0 is the shipped text."""
        async with writing(self._engine) as connection:
            await _lock(connection, merchant_id)
            known = sorted(
                saved.template.version for saved in await _read(connection, _rows(merchant_id, place))
            )
            if version not in (SHIPPED_VERSION, *known):
                there = f"1 to {known[-1]}" if known else "none of your own"
                raise UnknownVersionError(
                    f"{place} has no version {version}: there is {there}, and 0 as shipped"
                )
            await connection.execute(_use(merchant_id, place, version))
        self._kept.pop(merchant_id, None)

    async def _saved(self, query: Select[Any]) -> list[Saved]:
        async with reading(self._engine) as connection:
            return await _read(connection, query)


def _rows(merchant_id: str, place: Place | None = None) -> Select[Any]:
    query = select(TemplateRow.__table__)  # type: ignore[attr-defined]
    for name, value in _key(merchant_id, place).items():
        query = query.where(col(getattr(TemplateRow, name)) == value)
    return query


def _key(merchant_id: str, place: Place | None) -> dict[str, str]:
    there = {} if place is None else {"kind": place.kind, "locale": place.locale, "channel": place.channel}
    return {"merchant_id": merchant_id, **there}


def _use(merchant_id: str, place: Place, version: int) -> Any:
    """Of a text that one version is active, and no other."""
    statement = update(TemplateRow).values(active=col(TemplateRow.version) == version)
    for name, value in _key(merchant_id, place).items():
        statement = statement.where(col(getattr(TemplateRow, name)) == value)
    return statement


async def _lock(connection: AsyncConnection, merchant_id: str) -> None:
    """One writer a merchant: two who save at one time get two versions, and one of them is active."""
    query = select(col(MerchantRow.id)).where(col(MerchantRow.id) == merchant_id).with_for_update()
    if (await connection.execute(query)).scalar_one_or_none() is None:
        raise UnknownMerchantError(merchant_id)


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[Saved]:
    return [_row(row) for row in (await connection.execute(query)).mappings()]


def _row(row: Any) -> Saved:
    place = Place(row["kind"], row["locale"], row["channel"])
    at = aware(row["at"])
    return Saved(
        OwnTemplate(place, row["text"], row["subject"], row["version"]), row["author"], at, row["active"]
    )


def _words(template: OwnTemplate) -> Sequence[str]:
    return template.subject, template.text
