"""`carillon member`: the members of a merchant, and how one becomes a member."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from activities.consents import Consents
from activities.members import Kept, Members, Tally
from activities.merchants import Merchants
from activities.phone_codes import CodeError
from commands.booking import as_object
from commands.consent import consent_document, show_consents
from commands.failures import Mistake
from commands.member_erase import erase
from commands.member_import import import_
from commands.member_tell import tell
from commands.membership import Membership, Registration
from commands.output import err, out, plain, print_json, say, table, warn
from commands.reach import VAR, Address, AsJson, DataDir, Limit, Namespace, Reach, of_merchant
from intake.members import read_member
from models.agenda import Status
from models.consent import member_subject
from models.showing import shown_time, utc_text

member_app = typer.Typer(no_args_is_help=True, help="Members: import, look up, register, erase.")
member_app.command("import")(import_)
member_app.command()(tell)
member_app.command()(erase)

TheMember = Annotated[str, typer.Argument(help="MERCHANT/ID", metavar="MEMBER")]
TheMerchant = Annotated[str, typer.Option("--merchant", help="Whose members.", metavar="ID")]


@member_app.command()
def show(member: TheMember, as_json: AsJson = False, data_dir: DataDir = VAR) -> None:
    """Everything that is known of a member, and what it has said."""
    kept, consents = asyncio.run(_show(Reach(data_dir), *_named(member)))
    if as_json:
        print_json({**_document(kept), "consents": [consent_document(one) for one in consents]})
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in _lines(kept):
        grid.add_row(Text(name, style="dim"), Text(value))
    out().print(grid)
    show_consents(consents)


@member_app.command("list")
def list_(
    merchant: TheMerchant,
    group: Annotated[str, typer.Option(help="Only those of this group.")] = "",
    without_email: Annotated[
        bool, typer.Option("--without-email", help="Only those who have no email address.")
    ] = False,
    limit: Limit = 200,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """How many members there are, of how many something is missing, and who they are."""
    reach = Reach(data_dir)
    tally, found = asyncio.run(_list(reach, merchant, group, limit, without_email=without_email))
    if as_json:
        print_json({"counts": vars(tally), "members": [_document(kept) for kept in found]})
        return
    say((merchant, "bold"), "  ", _tally_words(tally))
    table("Members", ("id", "name", "email", "phone", "bound", "groups"), map(_row, found))


@member_app.command()
def register(
    member: TheMember,
    name: Annotated[str | None, typer.Option(help="The member's name.")] = None,
    phone: Annotated[str | None, typer.Option(help="Local, or as +886912345678.")] = None,
    email: Annotated[str | None, typer.Option(help="The email address.")] = None,
    data: Annotated[str, typer.Option(help="More of it, as a JSON object.")] = "{}",
    file: Annotated[Path | None, typer.Option(help="All of it, from a JSON or TOML file.")] = None,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Register one member. With a phone it becomes one once it gives the code back: `member verify`."""
    given = {"name": name, "phone": phone, "email": email}
    told = {**as_object(data), **{key: value for key, value in given.items() if value is not None}}
    if file is not None and told:
        raise Mistake("--file: it tells all of the member: leave out --name, --phone, --email and --data")
    reach = Reach(data_dir, address, namespace)
    with err().status("Registering"):
        done = asyncio.run(_register(reach, member, file if file is not None else told))
    _say_registration(done)


@member_app.command()
def verify(
    member: TheMember,
    code: Annotated[str, typer.Argument(help="What was sent to the phone.", metavar="CODE")],
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Give back the code: the phone is verified, and the membership granted."""
    merchant_id, member_id = _named(member)

    async def answer() -> Registration:
        async with _membership(Reach(data_dir, address, namespace), merchant_id) as membership:
            return await membership.verify(member_id, code, datetime.now(UTC))

    _say_registration(asyncio.run(answer()))


@member_app.command()
def resend(
    member: TheMember, data_dir: DataDir = VAR, address: Address = None, namespace: Namespace = None
) -> None:
    """Send another code; the one before is taken no more."""
    merchant_id, member_id = _named(member)

    async def send() -> Registration:
        async with _membership(Reach(data_dir, address, namespace), merchant_id) as membership:
            return await membership.resend(member_id, datetime.now(UTC))

    with err().status("Sending a code"):
        done = asyncio.run(send())
    _say_code(done)


async def _show(reach: Reach, merchant_id: str, member_id: str) -> tuple[Kept, list[dict[str, Any]]]:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        kept = await Members(engine).kept(merchant_id, member_id)
        if kept is None:
            raise Mistake(f"{member_id!r} is no member of {merchant_id}: see `carillon member list`")
        return kept, await Consents(engine).said_by(merchant_id, member_subject(member_id))


async def _list(
    reach: Reach, merchant_id: str, group: str, limit: int, *, without_email: bool
) -> tuple[Tally, list[Kept]]:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        members = Members(engine)
        found = await members.listed(merchant_id, group=group, without_email=without_email, limit=limit)
        return await members.tally(merchant_id), found


async def _register(reach: Reach, who: str, given: Path | Mapping[str, Any]) -> Registration:
    merchant_id, member_id = _named(who)
    now = datetime.now(UTC)
    async with _membership(reach, merchant_id) as membership:
        source = given if isinstance(given, Path) else {"member_id": member_id, **given}
        told = read_member(source, membership.merchant, now)
        if told.member.member_id != member_id:
            raise Mistake(f"--file: it tells of {told.member.member_id!r}, not of {member_id!r}")
        return await membership.register(told, now)


@asynccontextmanager
async def _membership(reach: Reach, merchant_id: str) -> AsyncIterator[Membership]:
    try:
        async with reach.database() as engine:
            merchant = await Merchants(engine).get(merchant_id)
            async with reach.carillon() as carillon:
                yield Membership(engine, carillon, merchant)
    except CodeError as error:
        raise Mistake(str(error)) from None


def _named(member: str) -> tuple[str, str]:
    return of_merchant(member, "member", "MERCHANT/ID", "member")


def _say_registration(done: Registration) -> None:
    if done.granted:
        say((done.kept.member.member_id, "bold"), f" is a member of {done.kept.member.merchant_id}")
    else:
        _say_code(done)


def _say_code(done: Registration) -> None:
    member, code = done.kept.member, done.code
    if code is None:
        warn(f"The code is on its way to {member.phone}: is a worker at work? See `carillon doctor`.")
    elif code.status in (Status.SENT, Status.UNCERTAIN) and code.ends_at is not None:
        until = f"{shown_time(code.ends_at, done.zone)} ({done.zone})"
        answer = f"carillon member verify {member.merchant_id}/{member.member_id} CODE"
        say(f"A code went to {member.phone}; it holds until {until}. Give it back with ", (answer, "bold"))
    else:
        raise Mistake(f"no code was sent to {member.phone}: {code.reason}")


def _document(kept: Kept) -> dict[str, Any]:
    member = kept.member
    fields = vars(member) | {
        "groups": list(member.groups),
        "birth_date": member.birth_date and member.birth_date.isoformat(),
        "registered_at": utc_text(member.registered_at),
    }
    state = {"bound": member.bound, "granted": kept.granted, "revision": kept.revision}
    return {**fields, **state, "updated_at": utc_text(kept.updated_at)}


def _lines(kept: Kept) -> list[tuple[str, str]]:
    """Every value with its name; what is empty is left out."""
    document = _document(kept)
    document["groups"] = ", ".join(document["groups"])
    words = {
        **document,
        "bound": "yes" if document["bound"] else "no: it has no customer ID",
        "granted": "yes" if document["granted"] else "no: its phone is still to be verified",
    }
    return [(plain(name), str(value)) for name, value in words.items() if value not in ("", None)]


def _row(kept: Kept) -> tuple[str, ...]:
    member = kept.member
    bound = ("yes" if member.bound else "no") if kept.granted else "not granted yet"
    return member.member_id, member.name, member.email, member.phone, bound, ", ".join(member.groups)


def _tally_words(tally: Tally) -> str:
    missing = f"{tally.without_email:,} without email, {tally.without_phone:,} without phone"
    waiting = f", {tally.not_granted:,} with a phone still to be verified" if tally.not_granted else ""
    return f"{tally.members:,} members: {tally.bound:,} bound, {missing}{waiting}"
