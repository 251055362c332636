"""A merchant's regular tasks, from one readable file."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import time
from decimal import Decimal

from intake import values
from intake.files import Source, load
from intake.member_policy import channels
from intake.problems import Problem, Wrong, nearest, shown
from intake.reader import Check, Context, Reader, Rule, sound
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.regular_task import Gift, RegularTask, TaskKind
from models.timing import TimeError, check_cron
from models.wave import Words

WEEK_HOURS = 7 * 24
LONGEST = 365
LONGEST_LIFE = 36_500
"""Days: a hundred years."""
LONGEST_SMS = 300
"""Characters of a promotional SMS. [LS-10]"""
NOTICES = (TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN)
LATEST = 22
"""Hours: past them nothing of a notice's or a promotion's run is sent any more."""
OF_A_NOTICE = ("cron", "days", "minimum", "channels", "currency")
FIELDS: Mapping[TaskKind, tuple[str, ...]] = {
    TaskKind.BONUS_ACTIVATION: OF_A_NOTICE,
    TaskKind.BONUS_BURN: OF_A_NOTICE,
    TaskKind.BIRTHDAY: ("at", "gift", "channels"),
    TaskKind.BONUS_UPKEEP: ("cron",),
    TaskKind.PROMOTION: ("cron", "channels", "words", "groups", "everybody"),
}
"""What each kind may say, beside `id`, `kind` and `catch_up_hours`."""


@dataclass(frozen=True)
class TaskEntry:
    """One regular task, as it stands in its file.

    `cron`: five fields, on the merchant's clock; for all but a birthday, which runs every day.
    `days`: how many days ahead a bonus notice looks. `minimum`: the least sum that it tells of.
    `channels`: by which it goes. `currency`: one account of bonuses; left out, each of them.
    `at`: the hour of a birthday's greeting, on the member's own clock. `gift`: the bonuses that come with it.
    `groups`: a promotion goes to the members of at least one of them. `everybody`: true lets a promotion
    without groups go to all members. `words`: a promotion's text, by locale.
    `catch_up_hours`: a run missed by more than this is not made up for; for bonus notices and promotions at
    most 22. A birthday's greeting is not, either; its gift is.
    """

    id: str
    kind: TaskKind
    cron: str = ""
    days: int = 0
    minimum: Decimal = Decimal(0)
    channels: tuple[str, ...] = ("email",)
    currency: str = ""
    at: time = time(10)
    gift: Gift | None = None
    groups: tuple[str, ...] = ()
    everybody: bool = False
    words: Mapping[str, Words] = field(default_factory=dict)
    catch_up_hours: int = 6


@dataclass(frozen=True)
class TaskFile:
    """All regular tasks of one merchant."""

    merchant: str
    tasks: tuple[TaskEntry, ...] = ()


def read_tasks(source: Source, merchant: Merchant) -> tuple[RegularTask, ...]:
    """The checked tasks of that merchant; InputError with all that is wrong with them."""
    name, data = load(source, "the tasks")
    rules: Mapping[type, Rule] = {
        TaskFile: lambda file, _: _file_rules(file, merchant),
        TaskEntry: lambda entry, _: _entry_rules(entry, merchant),
    }
    file: TaskFile = Reader(CHECKS, rules, Context(merchant.country)).whole(TaskFile, data, name)
    return tuple(_task(entry, merchant.id) for entry in file.tasks)


def tasks_merchant(source: Source) -> str:
    """The merchant that such a file names; InputError where it names none."""
    name, data = load(source, "the tasks")
    found = data.get("merchant") if isinstance(data, Mapping) else None
    if isinstance(found, str) and found:
        return found
    Reader(CHECKS, {}).whole(_Named, {"merchant": found}, name)
    return ""


@dataclass(frozen=True)
class _Named:
    merchant: str


def _task(entry: TaskEntry, merchant_id: str) -> RegularTask:
    given = {one.name: getattr(entry, one.name) for one in fields(entry) if one.name != "id"}
    return RegularTask(task_id=entry.id, merchant_id=merchant_id, **given)


def _cron(value: str, _: Context) -> str:
    try:
        check_cron(value)
    except TimeError as error:
        what, mend = str(error).rsplit(": ", 1)
        raise Wrong(what.partition(f"{value!r} ")[2] or "is no cron", mend.rstrip(".")) from None
    return value


def _number(least: int, most: int) -> Check:
    def check(value: int, _: Context) -> int:
        if least <= value <= most:
            return value
        raise Wrong("is out of range", f"write a number from {least} to {most}")

    return check


def _some(value: tuple[str, ...], context: Context) -> tuple[str, ...]:
    if not value:
        raise Wrong("is empty", "name at least one channel")
    return channels(value, context)


def _groups(value: tuple[str, ...], _: Context) -> tuple[str, ...]:
    for group in value if sound(*value) else ():
        values.group(group)
    return value


def _amount(value: Decimal, _: Context) -> Decimal:
    if not 0 < value < values.DEAREST:
        raise Wrong("is no amount to give", "write a number above 0")
    return value


def _minimum(value: Decimal, _: Context) -> Decimal:
    if not 0 <= value < values.DEAREST:
        raise Wrong("is out of range", "write a number above 0")
    return value


def _picture(value: str, _: Context) -> str:
    """Providers and mail programs fetch it, and show nothing that did not come by TLS. [LOY-24]"""
    if value and not value.startswith("https://"):
        raise Wrong("is no address of a picture", "write it as https://...")
    return values.web_address(value) if value else value


CHECKS: Mapping[tuple[type, str], Check] = {
    (TaskFile, "merchant"): values.identifier,
    (TaskEntry, "id"): values.identifier,
    (TaskEntry, "cron"): _cron,
    (TaskEntry, "channels"): _some,
    (TaskEntry, "groups"): _groups,
    (TaskEntry, "minimum"): _minimum,
    (TaskEntry, "catch_up_hours"): _number(1, WEEK_HOURS),
    (Gift, "amount"): _amount,
    (Gift, "days"): _number(0, LONGEST_LIFE),
    (Words, "title"): values.line,
    (Words, "image"): _picture,
}


def _file_rules(file: TaskFile, merchant: Merchant) -> Iterator[Problem]:
    """Each id once, and of every kind but promotions one task: it is set up only once. [LOY-60, LOY-70]"""
    if sound(file.merchant) and file.merchant != merchant.id:
        yield Problem("merchant", "is another merchant", f"the merchant is {merchant.id!r}")
    ids: set[str] = set()
    kinds: set[TaskKind] = set()
    for number, entry in enumerate(file.tasks if sound(file.tasks) else ()):
        if not sound(entry):
            continue
        if sound(entry.id) and entry.id in ids:
            yield Problem(f"tasks[{number}].id", "is given twice", "give each task its own id")
        if sound(entry.kind) and entry.kind in kinds:
            yield Problem(f"tasks[{number}].kind", "is set up twice", "it is set up only once: make them one")
        ids.add(entry.id)
        if entry.kind is not TaskKind.PROMOTION:
            kinds.add(entry.kind)


def _entry_rules(entry: TaskEntry, merchant: Merchant) -> Iterator[Problem]:
    if not sound(entry.kind):
        return
    yield from _foreign_fields(entry)
    if "cron" in FIELDS[entry.kind] and entry.cron == "":
        yield Problem("cron", "is missing", "add five fields, such as '0 7 * * 1' for Monday 07:00")
    if "channels" in FIELDS[entry.kind] and sound(entry.channels) and sound(*entry.channels):
        yield from _channel_rules(entry, merchant)
    if entry.kind in (*NOTICES, TaskKind.PROMOTION) and sound(entry.catch_up_hours):
        yield from _lateness(entry)
    match entry.kind:
        case TaskKind.BONUS_ACTIVATION | TaskKind.BONUS_BURN:
            yield from _notice_rules(entry, merchant)
        case TaskKind.BIRTHDAY if entry.gift is not None and sound(entry.gift) and sound(entry.gift.currency):
            yield from _currency_rule("gift.currency", entry.gift.currency, merchant)
        case TaskKind.PROMOTION:
            yield from _promotion_rules(entry, merchant)


def _lateness(entry: TaskEntry) -> Iterator[Problem]:
    if entry.catch_up_hours > LATEST:
        mend = f"its messages go on the day of their run or not at all: write a number from 1 to {LATEST}"
        yield Problem("catch_up_hours", "is too late", mend)


def _foreign_fields(entry: TaskEntry) -> Iterator[Problem]:
    own = ("id", "kind", "catch_up_hours", *FIELDS[entry.kind])
    for one in fields(entry):
        usual = one.default if one.default is not MISSING else {}
        if one.name not in own and getattr(entry, one.name) != usual:
            yield Problem(one.name, f"means nothing for {entry.kind}", "leave it out")


def _channel_rules(entry: TaskEntry, merchant: Merchant) -> Iterator[Problem]:
    possible = CATALOGUE[Kind(entry.kind.value)].channels
    for channel in entry.channels:
        if channel not in possible:
            yield Problem("channels", f"names {channel!r}", f"{entry.kind} goes by {', '.join(possible)}")
        elif channel not in merchant.channels:
            mend = f"switch {channel} on in the merchant's file first, or leave it out"
            yield Problem("channels", f"names {channel!r}, which is switched off", mend)


def _notice_rules(entry: TaskEntry, merchant: Merchant) -> Iterator[Problem]:
    """The parameters of LOY-61 and LOY-71."""
    if sound(entry.days) and not 1 <= entry.days <= LONGEST:
        yield Problem("days", "is out of range", f"write how many days ahead it looks, from 1 to {LONGEST}")
    if sound(entry.minimum) and entry.minimum <= 0:
        yield Problem("minimum", "is nothing", "write the least sum that it tells of, above 0")
    if sound(entry.currency) and (entry.currency or not merchant.bonuses):
        yield from _currency_rule("currency", entry.currency, merchant)


def _currency_rule(where: str, currency: str, merchant: Merchant) -> Iterator[Problem]:
    if not merchant.bonuses:
        mend = "add [bonuses.points] to the merchant's file"
        yield Problem(where, f"is not known: merchant {merchant.id!r} has no bonuses", mend)
    elif currency not in merchant.bonuses:
        yield Problem(where, "is no bonus of the merchant's", nearest(currency, merchant.bonuses))


def _promotion_rules(entry: TaskEntry, merchant: Merchant) -> Iterator[Problem]:
    """To whom it goes is said on purpose [LS-11], and what it says in the merchant's own language."""
    if sound(entry.groups, entry.everybody) and not entry.groups and not entry.everybody:
        mend = "name groups, or write everybody = true to send it to all members"
        yield Problem("groups", "is empty", mend, "[]")
    if sound(entry.groups, entry.everybody) and entry.groups and entry.everybody:
        yield Problem("everybody", "is said beside groups", "leave one of them out")
    if not sound(entry.words):
        return
    if merchant.locale not in entry.words:
        mend = f"add [tasks.words.{merchant.locale}] with a body: it is the merchant's language"
        yield Problem("words", f"has no text in {merchant.locale}", mend, shown(dict(entry.words)))
    for tag, words in entry.words.items():
        yield from _words_rules(f"words.{tag}", str(tag), words, entry)


def _words_rules(where: str, tag: str, words: Words, entry: TaskEntry) -> Iterator[Problem]:
    try:
        values.locale(tag)
    except Wrong as wrong:
        yield Problem(where, wrong.what, wrong.mend, shown(tag))
    if not sound(words) or not sound(words.body, words.title, entry.channels):
        return
    if not words.body.strip():
        yield Problem(f"{where}.body", "is empty", "write what the message says")
    if "sms" in entry.channels and len(words.body) > LONGEST_SMS:
        what = f"has {len(words.body)} characters"
        yield Problem(f"{where}.body", what, f"a promotional SMS has at most {LONGEST_SMS}")
