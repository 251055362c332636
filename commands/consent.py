"""`carillon consent`: what recipients have said about being written to."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from activities.consents import Consents
from activities.members import Members
from activities.merchants import Merchants
from commands.failures import Mistake
from commands.output import plain, print_json, say, table
from commands.reach import VAR, AsJson, DataDir, Reach
from commands.recipients import ChannelName, address_of
from intake import values
from intake.problems import Wrong
from models.consent import Consent, ConsentGiven, member_subject, same_address
from models.merchant import Merchant
from models.notices import NoticeClass
from models.showing import utc_text

consent_app = typer.Typer(no_args_is_help=True, help="What recipients have said about being written to.")


class ClassName(StrEnum):
    """A class of notices that its recipient may decline."""

    REMINDER = NoticeClass.REMINDER.word
    LOYALTY = NoticeClass.LOYALTY.word
    PROMOTIONAL = NoticeClass.PROMOTIONAL.word


MerchantId = Annotated[str, typer.Argument(help="The merchant's id.", metavar="MERCHANT")]
Who = Annotated[
    str,
    typer.Argument(help="A member's id, an email address, or a number as +886912345678.", metavar="WHO"),
]
Classes = Annotated[
    list[ClassName], typer.Option("--class", help="Which notices; may be given more than once.")
]
By = Annotated[
    list[ChannelName] | None,
    typer.Option("--by", help="By which channel.  [default: all of a member's, or that of the address]"),
]
Where = Annotated[str, typer.Option("--where", help="Where it was said, in words.")]
At = Annotated[
    str | None, typer.Option("--at", help="When it was said, as 2026-03-01T10:00:00+08:00.  [default: now]")
]
SAID_HERE = "carillon consent"
LONGEST_WHERE = 64


@consent_app.command()
def yes(
    merchant: MerchantId,
    who: Who,
    classes: Classes,
    by: By = None,
    where: Where = SAID_HERE,
    at: At = None,
    data_dir: DataDir = VAR,
) -> None:
    """Note that somebody agrees to a class of notices."""
    _note(Reach(data_dir), merchant, who, (Consent.OPTED_IN, classes, by, where, _moment(at)))


@consent_app.command()
def no(
    merchant: MerchantId,
    who: Who,
    classes: Classes,
    by: By = None,
    where: Where = SAID_HERE,
    at: At = None,
    data_dir: DataDir = VAR,
) -> None:
    """Note that somebody wants no more of a class of notices."""
    _note(Reach(data_dir), merchant, who, (Consent.OPTED_OUT, classes, by, where, _moment(at)))


@consent_app.command()
def show(merchant: MerchantId, who: Who, as_json: AsJson = False, data_dir: DataDir = VAR) -> None:
    """The last words of somebody, by class and channel."""
    _somebody(who)
    rows = asyncio.run(_show(Reach(data_dir), merchant, who))
    if as_json:
        print_json([consent_document(row) for row in rows])
    elif rows:
        show_consents(rows)
    else:
        say(f"{who} has said nothing yet.")


def show_consents(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table of last words."""
    lines = [(plain(one["notice_class"]), one["channel"], plain(one["state"]), *_said(one)) for one in rows]
    table("Said", ("notices", "by", "word", "when (UTC)", "where"), lines)


def consent_document(one: Mapping[str, Any]) -> dict[str, str]:
    """One last word, for programs."""
    names = ("notice_class", "channel", "state", "source")
    return {**{name: str(one[name]) for name in names}, "at": utc_text(one["at"]) or ""}


def _said(one: Mapping[str, Any]) -> tuple[str, str]:
    return f"{one['at']:%Y-%m-%d %H:%M}", str(one["source"])


_Word = tuple[Consent, Sequence[ClassName], Sequence[ChannelName] | None, str, datetime]


def _note(reach: Reach, merchant_id: str, who: str, word: _Word) -> None:
    _somebody(who)
    if len(where := word[3]) > LONGEST_WHERE:
        raise Mistake(f"--where: it has {len(where)} characters: write at most {LONGEST_WHERE}")
    if not where.strip():
        raise Mistake("--where: it is blank: write where it was said, or leave it out")
    noted, later = asyncio.run(_keep(reach, merchant_id, who, word))
    for one in noted:
        what = "agrees to" if one.state is Consent.OPTED_IN else "wants no more"
        say((who, "bold"), f" {what} {one.notice_class.word} notices by {one.channel}")
    for row in later:
        what = f"{row['notice_class']} notices by {row['channel']}"
        say(f"{who} has said something about {what} since ({_said(row)[0]} UTC): that stands")


async def _keep(
    reach: Reach, merchant_id: str, who: str, word: _Word
) -> tuple[list[ConsentGiven], list[dict[str, Any]]]:
    """What is noted now; and what was said later than that, and stands."""
    async with reach.database() as engine:
        merchant = await Merchants(engine).get(merchant_id)
        given = list(_given(merchant, who, word))
        if given[0].member_id and await Members(engine).get(merchant_id, who) is None:
            raise Mistake(f"{merchant_id} has no member {who!r}: see `carillon member list`")
        consents = Consents(engine)
        await consents.record_consent(given)
        kept = await consents.said_by(merchant_id, given[0].subject)
    stands = {(row["channel"], row["notice_class"]): row for row in kept}
    later = [row for one in given if (row := stands[one.channel, one.notice_class.word])["at"] > one.at]
    names = {(row["channel"], row["notice_class"]) for row in later}
    return [one for one in given if (one.channel, one.notice_class.word) not in names], later


def _given(merchant: Merchant, who: str, word: _Word) -> Iterator[ConsentGiven]:
    state, classes, by, where, at = word
    if _is_address(who):
        if by is not None and len(by) > 1:
            raise Mistake("--by: an address has one channel: leave it out")
        channel, address = address_of(who, merchant, by[0].value if by else None)
        channels, member_id = [channel], ""
    else:
        channels, member_id, address = [one.value for one in by or ChannelName], who, ""
    for name in dict.fromkeys(classes):
        for channel in dict.fromkeys(channels):
            kind = NoticeClass[name.upper()]
            yield ConsentGiven(merchant.id, channel, kind, state, where, at, member_id, address)


async def _show(reach: Reach, merchant_id: str, who: str) -> list[dict[str, Any]]:
    async with reach.database() as engine:
        merchant = await Merchants(engine).get(merchant_id)
        if _is_address(who):
            return await Consents(engine).said_by(merchant_id, same_address(*address_of(who, merchant)))
        if await Members(engine).get(merchant_id, who) is None:
            raise Mistake(f"{merchant_id} has no member {who!r}: see `carillon member list`")
        return await Consents(engine).said_by(merchant_id, member_subject(who))


def _somebody(who: str) -> None:
    if not who.strip():
        raise Mistake("WHO: it is blank: write a member's id, an email address or a number")


def _is_address(who: str) -> bool:
    """An id of a member has neither."""
    return "@" in who or who.startswith("+")


def _moment(given: str | None) -> datetime:
    if given is None:
        return datetime.now(UTC)
    try:
        return values.instant(given)
    except Wrong as wrong:
        raise Mistake(f"--at: {given!r} {wrong.what}: {wrong.mend}") from None
