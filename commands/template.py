"""`carillon template`: the texts, those that are shipped and those of the merchants' own."""

import asyncio
import getpass
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from activities.declining import DecliningLinks
from activities.formats import SHIPPED
from activities.merchant_sms import own_text
from activities.merchants import Merchants
from activities.rendering import TEMPLATES, Rendered, Renderer, RenderError
from activities.template_check import (
    Checked,
    TemplateRefusedError,
    check_template,
    named_place,
    routed,
)
from activities.template_samples import sample, variables
from activities.templates import Templates, UnknownVersionError
from channels.base import Credentials
from commands.failures import Finished, Mistake
from commands.output import plain, print_json, say, table, warn
from commands.reach import VAR, Address, AsJson, DataDir, Namespace, Reach
from commands.template_page import cost, page
from commands.template_real import known, real
from models.channels import EMAIL, PUSH, SMS, in_words
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.own_template import NONE, Overrides, OwnTemplate, Place, Saved
from models.showing import utc_text

template_app = typer.Typer(
    no_args_is_help=True, help="The texts of the notices, those that are shipped and the merchants' own."
)

TheKind = Annotated[str, typer.Argument(help="The kind of notice: pre_visit.", metavar="KIND")]
KindOption = Annotated[str, typer.Option("--kind", help="The kind of notice: pre_visit.")]
Locale = Annotated[str, typer.Option(help=f"Of which language: {', '.join(SHIPPED)}.")]
Channel = Annotated[str, typer.Option(help="By which channel: email, sms or push.")]
MerchantId = Annotated[str, typer.Option("--merchant", help="The merchant's id.", metavar="ID")]
MaybeMerchant = Annotated[
    str | None, typer.Option("--merchant", help="With this merchant's own texts.", metavar="ID")
]
TheFile = Annotated[
    str,
    typer.Argument(
        help="A text file, or - for what is typed. An email begins `Subject: ...`, a push text `Title: ...`."
    ),
]


HEADS = {EMAIL: "Subject:", PUSH: "Title:"}
"""How a text that has a subject, or a title, begins."""


@template_app.command("list")
def list_(merchant: MaybeMerchant = None, as_json: AsJson = False, data_dir: DataDir = VAR) -> None:
    """Every text there is, which of them a merchant may change, and which it has changed."""
    shop, own = _read(Reach(data_dir), merchant)
    rows = [
        {
            "kind": kind.value,
            "channel": channel,
            "editable": channel in row.editable.channels,
            "texts": {locale: _source(Place(kind, locale, channel), shop, own) for locale in SHIPPED},
        }
        for kind, row in CATALOGUE.items()
        for channel in routed(kind)
    ]
    if as_json:
        print_json(rows)
        return
    heads = ("notice", "by", *SHIPPED, "may be changed")
    table("Templates", heads, (_list_row(row) for row in rows))


@template_app.command()
def show(
    kind: TheKind,
    locale: Locale = "en",
    channel: Channel = SMS,
    merchant: MaybeMerchant = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """The text that messages are made from, and what it may place."""
    place = _place(kind, locale, channel)
    shop, own = _read(Reach(data_dir), merchant)
    source, subject, text = _in_use(place, shop, own)
    names = variables(Kind(place.kind), place.locale, place.channel, shop)
    if as_json:
        print_json(
            {**asdict(place), "source": source, "subject": subject, "text": text, "variables": {**names}}
        )
        return
    say((str(place), "bold"), f" ({source})")
    say("\n", f"{HEADS[place.channel]} {subject}\n\n" if subject else "", text.rstrip())
    table("It may place", ("name", "such as"), ((name, str(value)) for name, value in names.items()))


@template_app.command()
def check(
    file: TheFile,
    kind: KindOption,
    merchant: MerchantId,
    locale: Locale = "en",
    channel: Channel = SMS,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """What is wrong with a text, and what it comes to. Nothing is saved."""
    place = _place(kind, locale, channel)
    shop, own = asyncio.run(known(Reach(data_dir), merchant))
    checked = check_template(_draft(place, file), shop, own)
    if as_json:
        print_json(asdict(checked))
    else:
        _show(place, checked)
    if checked.problems:
        raise Finished(1)


@template_app.command("set")
def set_(
    kind: TheKind,
    file: TheFile,
    merchant: MerchantId,
    locale: Locale = "en",
    channel: Channel = SMS,
    author: Annotated[str, typer.Option(help="Who wrote it.  [default: you]")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Check a text, save it as a new version, and use it from now on."""
    place = _place(kind, locale, channel)
    draft = _draft(place, file)
    saved, checked = asyncio.run(_set(Reach(data_dir), merchant, draft, author or getpass.getuser()))
    if as_json:
        print_json({**_document(saved), "notes": list(checked.notes)})
        return
    say((str(place), "bold"), f" of {merchant} is version {saved.template.version} from now on")
    for note in checked.notes:
        warn(note)


@template_app.command()
def history(
    kind: TheKind,
    merchant: MerchantId,
    locale: Locale = "en",
    channel: Channel = SMS,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Every version of a merchant's own text, the newest first."""
    place = _place(kind, locale, channel)
    versions = asyncio.run(_history(Reach(data_dir), merchant, place))
    if as_json:
        print_json([_document(saved) for saved in versions])
    elif versions:
        table(str(place), ("version", "since (UTC)", "by", "used", "text"), map(_version_row, versions))
    else:
        say(f"{merchant} has no text of its own for {place}.")


@template_app.command()
def activate(
    kind: TheKind,
    version: Annotated[int, typer.Argument(min=0, help="Which one; 0 is the shipped text.")],
    merchant: MerchantId,
    locale: Locale = "en",
    channel: Channel = SMS,
    data_dir: DataDir = VAR,
) -> None:
    """Use another version from now on: an older one, or 0 for the shipped text."""
    place = _place(kind, locale, channel)
    asyncio.run(_activate(Reach(data_dir), merchant, place, version))
    used = f"version {version}" if version else "as it is shipped"
    say((str(place), "bold"), f" of {merchant} is {used} from now on")


@template_app.command()
def preview(
    kind: TheKind,
    locale: Locale = "en",
    channel: Channel = EMAIL,
    merchant: MaybeMerchant = None,
    lifecycle: Annotated[
        str | None,
        typer.Option(
            help="With what this one has to say: booking:MERCHANT:ID, or member:MERCHANT:ID.", metavar="ID"
        ),
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="With sample values that are long.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where the page is kept.")] = None,
    show_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """A message as its reader would get it, with sample values or those of a lifecycle."""
    place = _place(kind, locale, channel)
    reach = Reach(data_dir, address, namespace)
    if lifecycle:
        one, own = asyncio.run(real(reach, lifecycle, place))
    else:
        shop, own = _read(reach, merchant)
        one = sample(Kind(place.kind), place.locale, shop, long=long)
    renderer = Renderer(links=DecliningLinks(Credentials(reach.settings.environment)))
    try:
        message = renderer.render(one.notice, one.content, one.merchant, place.channel, own)
    except RenderError as error:
        raise Mistake(str(error)) from None
    file = out or data_dir / "previews" / f"{place.kind}.{message.locale}.{place.channel}.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(Kind(place.kind), message), encoding="utf-8")
    except OSError as error:
        mend = "name another place with --out"
        raise Mistake(f"--out: {file} cannot be written ({error.strerror}): {mend}") from None
    _show_message(place, message, file, as_json=as_json)
    if show_page:
        typer.launch(str(file.resolve()))


def _place(kind: str, locale: str, channel: str) -> Place:
    try:
        return named_place(kind, locale, channel)
    except TemplateRefusedError as error:
        raise Mistake("\n".join(error.problems)) from None


def _draft(place: Place, file: str) -> OwnTemplate:
    """The text of a file; of an email the first line is its subject, of a push message its title."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"{file} cannot be read as text: {error}") from None
    if place.channel not in HEADS:
        return OwnTemplate(place, text.strip())
    head, _, body = text.lstrip().partition("\n")
    if not head.startswith(first := HEADS[place.channel]):
        raise Mistake(f"{file} is no text by {in_words(place.channel)}: begin it with a line `{first} ...`")
    return OwnTemplate(place, body.strip(), head.removeprefix(first).strip())


def _read(reach: Reach, merchant: str | None) -> tuple[Merchant | None, Overrides]:
    return asyncio.run(known(reach, merchant)) if merchant else (None, NONE)


async def _set(reach: Reach, merchant_id: str, draft: OwnTemplate, author: str) -> tuple[Saved, Checked]:
    async with reach.database() as engine:
        merchant, templates = await Merchants(engine).get(merchant_id), Templates(engine)
        try:
            saved = await templates.set(merchant, draft, author, datetime.now(UTC))
        except TemplateRefusedError as error:
            raise Mistake(str(error)) from None
        return saved, check_template(draft, merchant, await templates.of(merchant_id))


async def _history(reach: Reach, merchant_id: str, place: Place) -> list[Saved]:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        return await Templates(engine).history(merchant_id, place)


async def _activate(reach: Reach, merchant_id: str, place: Place, version: int) -> None:
    async with reach.database() as engine:
        try:
            await Templates(engine).activate(merchant_id, place, version)
        except UnknownVersionError as error:
            raise Mistake(str(error)) from None


def _source(place: Place, merchant: Merchant | None, own: Overrides) -> str:
    return _in_use(place, merchant, own)[0]


def _in_use(place: Place, merchant: Merchant | None, own: Overrides) -> tuple[str, str, str]:
    """Where the text comes from, its subject and the text itself."""
    if (mine := own.get(place)) is not None:
        return f"version {mine.version}", mine.subject, mine.text
    kind = Kind(place.kind)
    filed = own_text(merchant.sms.texts, kind, place.locale) if merchant and place.channel == SMS else ""
    if filed:
        return "merchant's file", "", filed
    return "shipped", "", (TEMPLATES / place.kind / place.locale / f"{place.channel}.j2").read_text("utf-8")


def _show(place: Place, checked: Checked) -> None:
    for problem in checked.problems:
        say((problem, "red"))
    for one in checked.measures:
        cost = f", {one.segments} x {one.encoding}" if one.segments else ""
        say((f"With {one.sample} values ({one.characters} characters{cost}):", "bold"))
        say(one.text.rstrip())
    for note in checked.notes:
        warn(note)
    if not checked.problems:
        say((str(place), "bold"), " can be saved")


def _show_message(place: Place, message: Rendered, file: Path, *, as_json: bool) -> None:
    if as_json:
        said = {
            name: getattr(message, name) for name in ("subject", "text", "locale", "segments", "fallback")
        }
        files = [attached.filename for attached in message.attachments]
        print_json({**asdict(place), **said, "attachments": files, "page": str(file)})
        return
    if message.subject:
        say((f"{HEADS[place.channel]} ", "dim"), (message.subject, "bold"), "\n")
    say(message.text.rstrip())
    if place.channel == SMS:
        say((cost(message), "dim"))
    for attached in message.attachments:
        say(("attached: ", "dim"), attached.filename)
    if message.fallback:
        warn(f"not the merchant's own text: {message.fallback}")
    say("\n", ("The page is in ", "dim"), str(file))


def _list_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    editable = "yes" if row["editable"] else "no"
    return plain(row["kind"]), row["channel"], *row["texts"].values(), editable


def _version_row(saved: Saved) -> tuple[str, ...]:
    one = saved.template
    words = f"{one.subject}\n{one.text}" if one.subject else one.text
    return str(one.version), f"{saved.at:%Y-%m-%d %H:%M}", saved.author, "yes" if saved.active else "", words


def _document(saved: Saved) -> dict[str, Any]:
    one = saved.template
    said = {"version": one.version, "subject": one.subject, "text": one.text}
    return {
        **asdict(one.place),
        **said,
        "author": saved.author,
        "at": utc_text(saved.at),
        "active": saved.active,
    }
