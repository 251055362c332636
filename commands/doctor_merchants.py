"""What `carillon doctor` finds about merchants: what their providers lack, and what cannot reach anybody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from activities.consents import Suspended
from activities.handing_over import provider_names
from channels.base import Credentials
from commands.failures import MISTAKE
from commands.finding import Finding
from commands.output import plain
from commands.suspensions import sentence
from models.channels import PUSH, SMS, families, in_words
from models.merchant import EmailProvider, Merchant, PushProvider, SmsProvider
from models.notices import CATALOGUE, Kind, NoticeClass
from models.regular_task import RegularTask, TaskKind
from policies.checks.trade_ban import barred

NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    SmsProvider.TWSMS: (("TWSMS_USERNAME",), ("TWSMS_PASSWORD",)),
    SmsProvider.SMARTDOVE: (("SMARTDOVE_TOKEN",),),
    SmsProvider.SMPP: (("SMPP_HOST",), ("SMPP_SYSTEM_ID",)),
    SmsProvider.TWILIO: (
        ("TWILIO_ACCOUNT_SID",),
        ("TWILIO_AUTH_TOKEN",),
        ("TWILIO_FROM", "TWILIO_MESSAGING_SERVICE_SID"),
    ),
    EmailProvider.SMTP: (("SMTP_HOST",), ("SMTP_FROM",)),
    EmailProvider.SMTP_BACKUP: (("SMTP_BACKUP_HOST",), ("SMTP_BACKUP_FROM", "SMTP_FROM")),
    PushProvider.FCM: (("FCM_CREDENTIALS",),),
}
"""What each provider must be told, one of each group. Only whether it is there is ever shown."""
BY_TASKS = (Kind.BONUS_ACTIVATION, Kind.BONUS_BURN, Kind.BIRTHDAY, Kind.PROMOTION)
"""Sent by regular tasks, each of which has channels of its own."""


@dataclass(frozen=True)
class Sender:
    """A merchant with what holds it back, and the regular tasks that it has."""

    merchant: Merchant
    suspended: Sequence[Suspended] = ()
    tasks: Sequence[RegularTask] = ()
    banner: str = ""


def findings(sender: Sender, environment: Mapping[str, str], *, development: bool) -> Iterator[Finding]:
    """All that is to be known of one merchant."""
    merchant = sender.merchant
    yield _providers(merchant, Credentials(environment), development=development)
    for one in sender.suspended:
        resume = f"`carillon merchant resume {merchant.id} --channels {one.family}`"
        yield Finding(f"merchant {merchant.id}", sentence(one), resume)
    if SMS in merchant.channels:
        yield from _barred(merchant)
    if names := _unreached(sender):
        what = f"merchant {merchant.id}: {', '.join(names)}"
        yield Finding(what, "nobody gets these as things stand: none of their channels is open")
    if merchant.charged() and not merchant.email:
        what = f"merchant {merchant.id}: points"
        yield Finding(what, "it has no email to be told at when they run low", "set email in its file")
    if sender.banner:
        yield Finding("points", sender.banner)


def _providers(merchant: Merchant, credentials: Credentials, *, development: bool) -> Finding:
    """Whether this environment holds what the merchant's providers need: the worker's may be another."""
    known = [*merchant.channels]
    words = [_by(channel, provider_names(merchant, channel)) for channel in known]
    words += [f"no {in_words(SMS)}"] * (SMS not in known)
    what = f"merchant {merchant.id}: {', '.join(words)}"
    missing = [
        lack
        for channel in known
        for provider in provider_names(merchant, channel)
        if not (development and provider == EmailProvider.SMTP)
        for lack in _lacking(provider, merchant.id, credentials)
    ]
    if not missing:
        return Finding(what)
    wrong = f"{', '.join(dict.fromkeys(missing))} not set here"
    return Finding(what, wrong, "set them where the worker runs", MISTAKE)


def _by(channel: str, providers: Sequence[str]) -> str:
    then = "".join(f", else by {provider}" for provider in providers[1:])
    name = "push" if channel == PUSH else in_words(channel)
    return f"{name} by {providers[0]}{then}"


def _lacking(provider: str, merchant_id: str, credentials: Credentials) -> Iterator[str]:
    for names in NEEDED.get(provider, ()):
        if not any(credentials.get(name, merchant_id).strip() for name in names):
            yield " or ".join(f"CARILLON_{name}" for name in names)
    path = credentials.get("FCM_CREDENTIALS", merchant_id) if provider == PushProvider.FCM else ""
    if path and not Path(path).is_file():
        yield "CARILLON_FCM_CREDENTIALS (a file that is there)"


def _barred(merchant: Merchant) -> Iterator[Finding]:
    """What the law or the merchant's own file keeps from going by SMS. [LS-01, LS-40 to LS-43]"""
    what = f"merchant {merchant.id}: SMS"
    if (found := barred(merchant)) is not None:
        trade, country = found
        why = f"all are barred for a business that sells {trade.in_words} in {country}"
        yield Finding(what, why, "notices go by email in their place; a phone code has no other way")
    elif not merchant.gate.promotional_sms:
        yield Finding(what, "promotional ones are switched off", "promotions go on by email")


def _unreached(sender: Sender) -> list[str]:
    """The notices whose every channel that is switched on is closed. What goes by none anyway is no news."""
    found = []
    for name, kind, channels in _notices(sender):
        on = [channel for channel in channels if channel in sender.merchant.channels]
        if on and all(_closed(sender, kind, channel) for channel in on):
            found.append(name)
    return found


def _notices(sender: Sender) -> Iterator[tuple[str, Kind, Sequence[str]]]:
    """Each kind, or each regular task, and the channels that it goes by."""
    members = sender.merchant.members
    own = {
        Kind.MEMBER_WELCOME: members.welcome,
        Kind.INVITATION: members.invitation,
        Kind.INVITATION_AGAIN: members.invitation,
    }
    for kind, row in CATALOGUE.items():
        if kind not in BY_TASKS:
            yield plain(kind), kind, _links(kind, own.get(kind, row.channels))
    for task in sender.tasks:
        if task.kind is not TaskKind.BONUS_UPKEEP:
            kind = Kind(task.kind.value)
            yield f"task {task.task_id}", kind, _links(kind, task.channels)


def _links(kind: Kind, own: Sequence[str]) -> list[str]:
    """These channels, and all that takes their place."""
    return [link for channel in own for link in CATALOGUE[kind].chain(channel, own)]


def _closed(sender: Sender, kind: Kind, channel: str) -> bool:
    merchant = sender.merchant
    if any(one.family in families(channel) for one in sender.suspended if not one.coming):
        return True
    if channel != SMS:
        return False
    promotional = CATALOGUE[kind].notice_class is NoticeClass.PROMOTIONAL
    return barred(merchant) is not None or (promotional and not merchant.gate.promotional_sms)
