"""What is known, at the moment of sending, of those whom a page of messages goes to. [MAAC-12]"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import Row, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.addresses import address_problem, zone_of
from activities.batch import Batch
from activities.bulk import Lookup
from activities.caps import SENT_SINCE, classes_of
from activities.consents import last_word
from activities.database import aware
from activities.phone import is_domestic
from activities.standing_ledger import Left, left_for
from models.channels import SMS, families
from models.consent import Consent, member_subject, same_address, told_reason
from models.policy import ConsentRule
from models.tables.consents import ConsentRow, SuppressionRow, SuspensionRow, VerifiedAddressRow
from models.timing import Offset, local_day, moment
from policies.proposal import Proposal, Standing

SUSPENSIONS = SuspensionRow.__table__  # type: ignore[attr-defined]
SUPPRESSIONS = SuppressionRow.__table__  # type: ignore[attr-defined]
VERIFIED = VerifiedAddressRow.__table__  # type: ignore[attr-defined]
CONSENTS = ConsentRow.__table__  # type: ignore[attr-defined]

Rows = Sequence[Row[Any]]
Where = tuple[str, str, str]
"""A merchant, an address or other subject, a channel."""


class Standings:
    """Reads the standing of recipients and merchants: a handful of queries, however long the page.

    What several ask for at one time is read together.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._reads: Batch[Proposal, Standing] = Batch(engine, _read, writes=False)

    async def read(self, proposals: Sequence[Proposal]) -> list[Standing]:
        """The standing of each, in the same order. What no policy of theirs asks for is not looked up."""
        return await self._reads.ask_all(proposals) if proposals else []


_NOTHING_COUNTED = Left()


async def _read(connection: AsyncConnection, proposals: Sequence[Proposal]) -> list[Standing]:
    places = [_where(proposal) for proposal in proposals]
    zones = [_zone(proposal) for proposal in proposals]
    suspended = await _suspensions(connection, proposals)
    suppressed = await _suppressions(connection, places)
    consents = await _consents(connection, proposals, places)
    verified = await _verified(connection, proposals, places)
    sent, since = await _sent_today(connection, proposals, zones)
    left = await left_for(connection, proposals)
    # Of a page nearly all stand alike: they share what is found.
    alike: dict[tuple[Any, ...], Standing] = {}
    found = []
    for number, (proposal, place, zone) in enumerate(zip(proposals, places, zones, strict=True)):
        counted = left.get(number, _NOTHING_COUNTED)
        facts = (
            _latest(consents, proposal, place) if consents else Consent.NOT_ASKED,
            place in verified,
            _suspension(suspended, proposal) if suspended else "",
            suppressed.get(place, ""),
            _problem(proposal),
            zone,
            sent.get(number, 0),
            counted.quota,
            counted.credits,
            _domestic(proposal),
            since.get(number),
        )
        if (standing := alike.get(facts)) is None:
            standing = alike[facts] = Standing(*facts)
        found.append(standing)
    return found


def _where(proposal: Proposal) -> Where:
    return proposal.merchant.id, same_address(proposal.channel, _address(proposal)), proposal.channel


def _address(proposal: Proposal) -> str:
    return proposal.notice.recipient.address(proposal.channel)


def _problem(proposal: Proposal) -> str:
    """Of the address as it is written: that is what a provider is given."""
    address = _address(proposal)
    return address_problem(proposal.channel, address) if address else ""


def _zone(proposal: Proposal) -> str:
    """Where the recipient lives, or the telephone is at home; asked for quiet hours and the day of a cap."""
    policy, recipient = proposal.class_policy, proposal.notice.recipient
    if not (policy.quiet or policy.daily_cap):
        return ""
    phone = recipient.phone
    if recipient.zone or not phone:
        return recipient.zone
    return zone_of(phone, proposal.merchant.zone)


def _domestic(proposal: Proposal) -> bool:
    if proposal.channel != SMS or not proposal.merchant.charged():
        return True
    return is_domestic(_address(proposal), proposal.merchant.country)


async def _suspensions(connection: AsyncConnection, proposals: Sequence[Proposal]) -> dict[str, Rows]:
    now = min(proposal.now for proposal in proposals)
    found: dict[str, list[Row[Any]]] = {}
    for row in await _SUSPENSIONS.rows(
        connection, {"merchants": {p.merchant.id for p in proposals}}, now=now
    ):
        found.setdefault(row.merchant_id, []).append(row)
    # Where several hold at one time, one with a reason tells it.
    return {
        merchant: sorted(rows, key=lambda row: not row.reason.strip()) for merchant, rows in found.items()
    }


def _suspension(found: Mapping[str, Rows], proposal: Proposal) -> str:
    """Why the merchant may not send by this channel now, or an empty string."""
    for row in found.get(proposal.merchant.id, ()):
        begun = aware(row.since) <= proposal.now
        ended = row.until is not None and aware(row.until) <= proposal.now
        if row.family in families(proposal.channel) and begun and not ended:
            return told_reason(row.reason)
    return ""


async def _suppressions(connection: AsyncConnection, places: Iterable[Where]) -> dict[Where, str]:
    rows = await _SUPPRESSIONS.rows(connection, _addresses(places))
    return {(row.merchant_id, row.address, row.channel): told_reason(row.reason) for row in rows}


async def _verified(
    connection: AsyncConnection, proposals: Sequence[Proposal], places: Sequence[Where]
) -> set[Where]:
    asking = [place for p, place in zip(proposals, places, strict=True) if p.confirmed_only]
    rows = await _VERIFIED.rows(connection, _addresses(asking))
    return {(row.merchant_id, row.address, row.channel) for row in rows}


async def _consents(
    connection: AsyncConnection, proposals: Sequence[Proposal], places: Sequence[Where]
) -> dict[tuple[Where, str], Row[Any]]:
    asking = [
        (proposal, place)
        for proposal, place in zip(proposals, places, strict=True)
        if proposal.class_policy.consent is not ConsentRule.NONE
    ]
    rows = await _CONSENTS.rows(
        connection,
        {
            "merchants": {merchant_id for _, (merchant_id, _, _) in asking},
            "subjects": {subject for proposal, place in asking for subject in _subjects(proposal, place)},
        },
    )
    return {((row.merchant_id, row.subject, row.channel), row.notice_class): row for row in rows}


def _addresses(places: Iterable[Where]) -> dict[str, set[str]]:
    known = [(merchant_id, address) for merchant_id, address, _ in places if address]
    return {"merchants": {merchant_id for merchant_id, _ in known}, "addresses": {one for _, one in known}}


def _subjects(proposal: Proposal, place: Where) -> Iterator[str]:
    """Under which names the recipient may have spoken."""
    _, address, _ = place
    member = proposal.notice.recipient.member_id
    if address:
        yield address
    if member:
        yield member_subject(member)


def _latest(consents: Mapping[tuple[Where, str], Row[Any]], proposal: Proposal, place: Where) -> Consent:
    """The last word of the member or about the address."""
    (merchant, _, channel), word = place, proposal.notice_class.word
    keys = (((merchant, subject, channel), word) for subject in _subjects(proposal, place))
    rows = [consents[key] for key in keys if key in consents]
    return last_word(rows) if rows else Consent.NOT_ASKED


async def _sent_today(
    connection: AsyncConnection, proposals: Sequence[Proposal], zones: Sequence[str]
) -> tuple[dict[int, int], dict[int, datetime]]:
    """By the place of the proposal: messages of its class to its address since the recipient's midnight.

    And that midnight, of those that have a cap.
    """
    capped = {n: p for n, p in enumerate(proposals) if p.class_policy.daily_cap and _address(p)}
    if not capped:
        return {}, {}
    midnights: dict[tuple[datetime, str], datetime] = {}
    since = {}
    for n, p in capped.items():
        where = p.now, zones[n] or p.merchant.zone
        if where not in midnights:
            midnights[where] = _midnight(*where)
        since[n] = midnights[where]
    classes = classes_of()
    classes |= {p.notice.kind: p.notice_class for p in capped.values()}
    found: dict[Where, list[Row[Any]]] = {}
    whose = {
        "merchants": {p.merchant.id for p in capped.values()},
        "addresses": {_address(p) for p in capped.values()},
    }
    for row in await SENT_SINCE.rows(connection, whose, since=min(midnights.values())):
        found.setdefault((row.merchant_id, row.address, row.channel), []).append(row)
    if not found:
        return {}, since
    sent = {
        n: sum(
            classes.get(row.kind) is p.notice_class
            and row.notice_key != p.notice.key
            and aware(row.at) >= since[n]
            for row in found.get((p.merchant.id, _address(p), p.channel), ())
        )
        for n, p in capped.items()
    }
    return sent, since


def _midnight(now: datetime, zone: str) -> datetime:
    return moment(local_day(now, zone), Offset(0, time()), zone)


_SUSPENSIONS = Lookup(
    select(SUSPENSIONS).where(or_(SUSPENSIONS.c.until.is_(None), SUSPENSIONS.c.until > bindparam("now"))),
    merchants=SUSPENSIONS.c.merchant_id,
)
_SUPPRESSIONS = Lookup(
    select(SUPPRESSIONS).where(SUPPRESSIONS.c.lifted_at.is_(None)),
    merchants=SUPPRESSIONS.c.merchant_id,
    addresses=SUPPRESSIONS.c.address,
)
_VERIFIED = Lookup(select(VERIFIED), merchants=VERIFIED.c.merchant_id, addresses=VERIFIED.c.address)
_CONSENTS = Lookup(select(CONSENTS), merchants=CONSENTS.c.merchant_id, subjects=CONSENTS.c.subject)
