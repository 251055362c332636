"""By which channels something foreseen goes, why by others not, and when quiet hours let it go."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from models.addressing import hindrance
from models.agenda import Hindered, Reason
from models.channels import SMS
from models.consent import Consent, willing
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind, NoticeClass
from models.people import Person
from models.quiet import quiet_until

Words = Mapping[tuple[str, str], Consent]
"""What somebody has said last, by class and channel; what is not there was not asked."""


@dataclass(frozen=True)
class Ways:
    """The channels that carry a notice, and those that cannot."""

    channels: tuple[str, ...] = ()
    hindered: tuple[Hindered, ...] = ()


@dataclass(frozen=True)
class Recipient:
    """Whom notices go to, and what decides by which channels and when. `zone`: where its clock stands.

    `sms_barred`: the law keeps the merchant from sending SMS. [LS-40 to LS-43]
    """

    merchant: Merchant
    person: Person
    zone: str
    words: Words = field(default_factory=dict)
    sms_barred: bool = False

    def ways(self, kind: Kind, chosen: Collection[str] | None = None) -> Ways:
        """Of every channel it goes by the first of its chain that can, and what keeps those before from it.

        `chosen`: only these channels, where whoever sends it has a say, and what takes their place. What the
        recipient does not want goes by no other channel either.
        """
        row = CATALOGUE[kind]
        own = [channel for channel in row.channels if chosen is None or channel in chosen]
        taken: list[str] = []
        hindered: list[Hindered] = []
        for channel in own:
            for link in row.chain(channel, own):
                reason = self._hindrance(kind, link)
                if reason is None:
                    taken.append(link)
                    break
                hindered.append(Hindered(link, reason))
                if reason in (Reason.DECLINED, Reason.NOT_AGREED):
                    break
        return Ways(tuple(taken), tuple(hindered))

    def quiet_until(self, kind: Kind, at: datetime) -> datetime | None:
        """When the quiet hours end that hold such a notice at that moment; None where none do."""
        gate = self.merchant.gate
        if not gate.of(CATALOGUE[kind].notice_class).quiet:
            return None
        return quiet_until(at, gate.quiet_hours, self.zone)

    def _hindrance(self, kind: Kind, channel: str) -> Reason | None:
        reason = hindrance(self.person, channel, self.merchant.channels)
        if reason is not None:
            return reason
        notice_class = CATALOGUE[kind].notice_class
        if channel == SMS and (self.sms_barred or not self._has_sms(notice_class)):
            return Reason.BARRED
        given = self.words.get((notice_class.word, channel), Consent.NOT_ASKED)
        if willing(self.merchant.gate.of(notice_class).consent, given):
            return None
        return Reason.DECLINED if given is Consent.OPTED_OUT else Reason.NOT_AGREED

    def _has_sms(self, notice_class: NoticeClass) -> bool:
        """Some merchants have no promotional SMS. [LS-01]"""
        return notice_class is not NoticeClass.PROMOTIONAL or self.merchant.gate.promotional_sms
