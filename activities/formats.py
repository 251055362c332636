"""Dates, times, money and lists in the recipient's language, in the zone where the sessions take place."""

import re
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, get_currency_symbol

from models.merchant import PaymentMethod
from models.timing import local

KEPT = 10_000
"""So many formatted values of a kind are kept: the messages of a wave share their days and hours."""

SHIPPED = ("zh-Hant", "en", "fr")
"""The locales that every template is written in."""

_LANGUAGES = {"zh": "zh-Hant", "en": "en", "fr": "fr"}
"""Whoever reads Chinese, in whatever script, reads Traditional Chinese sooner than another language."""

_HOMES = {"zh-Hant": "zh_Hant_TW", "en": "en_GB", "fr": "fr_FR"}
"""Whose customs count where the tag names no region. British: the day before the month, 24 hours."""

_DAY = {"zh-Hant": "y年M月d日（EEEE）", "en": "full", "fr": "EEEE d MMMM y"}
_SHORT_DAY = {"zh-Hant": "M/d（EEEEE）", "en": "EEE d MMM", "fr": "EEEE dd/MM"}
"""For SMS. French months are numbers: `août` is not in the SMS alphabet and would make the text dear."""

_DATE = {"zh-Hant": "y/M/d", "en": "d MMM y", "fr": "dd/MM/y"}
"""A day that may lie in another year, for SMS and push."""

_SAME_DAY = {
    "zh-Hant": "{day}{start}–{end}",
    "en": "{day}, {start}–{end}",
    "fr": "{day}, de {start} à {end}",
}
_TWO_DAYS = {
    "zh-Hant": "{day}{start} 至 {last}{end}",
    "en": "{day}, {start} – {last}, {end}",
    "fr": "du {day}, {start}, au {last}, {end}",
}
_START_ONLY = {"zh-Hant": "{day}{start}", "en": "{day}, {start}", "fr": "{day}, {start}"}

_DAYS = {"zh-Hant": ("天", "天"), "en": ("day", "days"), "fr": ("jour", "jours")}
_POINTS = {
    "zh-Hant": ("點紅利",) * 2,
    "en": ("bonus point", "bonus points"),
    "fr": ("point bonus", "points bonus"),
}
_MINUTES = {"zh-Hant": ("分鐘", "分鐘"), "en": ("minute", "minutes"), "fr": ("minute", "minutes")}
"""One, and several. Babel knows them too, but not in the Chinese of Taiwan."""

_METHODS = {
    PaymentMethod.CARD: ("信用卡", "Card", "Carte bancaire"),
    PaymentMethod.BANK_TRANSFER: ("銀行轉帳", "Bank transfer", "Virement bancaire"),
    PaymentMethod.ATM: ("ATM 虛擬帳號", "ATM transfer", "Virement par guichet automatique"),
    PaymentMethod.BARCODE: ("超商條碼", "Convenience store barcode", "Code-barres en supérette"),
    PaymentMethod.IBON: ("ibon 代碼", "ibon code", "Code ibon"),
    PaymentMethod.FAMIPORT: ("FamiPort 代碼", "FamiPort code", "Code FamiPort"),
    PaymentMethod.IN_PERSON: ("當面付款", "In person", "Paiement sur place"),
}

_SYMBOLS = {"TWD": "NT$"}
"""Babel writes `$` in Taiwan and `TWD` in France: every reader knows this one."""

_WHOLE = frozenset({"TWD"})
"""Currencies with cents in the standard and none in anyone's purse."""


@lru_cache(maxsize=500)
def shipped_locale(tag: str) -> str | None:
    """The shipped locale that a reader of this language tag is served in, or None. `fr-CA` is `fr`."""
    language = tag.replace("_", "-").partition("-")[0].lower()
    return _LANGUAGES.get(language)


def plain_spaces(text: str) -> str:
    """The text with plain spaces for the unbreakable ones of typography."""
    return text if text.isascii() else text.replace("\u00a0", " ").replace("\u202f", " ")


def one_line(text: str) -> str:
    """The text on one line: no control characters, and every run of white space one space."""
    if text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:  # as nearly all are
        return text
    return " ".join(_CONTROL.sub(" ", text).split())


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, eq=False)
class Formats:
    """How values look in one locale. `locale` is one of SHIPPED, `home` whose customs it follows.

    Spaces inside a price or a time of day are unbreakable: `plain_spaces` is for where that does harm.
    """

    locale: str
    home: Locale
    zone: str
    thousands: str = ""
    """What stands between them, where every three digits are a group."""

    @classmethod
    def of(cls, tags: Iterable[str], zone: str) -> "Formats":
        """The formats of the first tag whose language is shipped, else of English: one for each, and kept."""
        return _formats(tuple(tags), zone)

    def day(self, instant: datetime) -> str:
        """The calendar day in full: `Tuesday, 10 March 2026`."""
        return _day(self, instant)

    def short_day(self, instant: datetime) -> str:
        """The calendar day for an SMS: `Tue 10 Mar`."""
        return _short_day(self, instant)

    def full_date(self, day: date) -> str:
        """A day of the calendar in full: `Tuesday, 10 March 2026`."""
        return _date(self, day)

    def short_date(self, day: date) -> str:
        """The same for an SMS, with its year: `10 Mar 2026`."""
        return _short_date(self, day)

    def clock(self, instant: datetime) -> str:
        """The time of day: `14:00`, `14 h`, `2:00 PM`."""
        return _clock(self, instant)

    def when(self, starts: datetime, ends: datetime) -> str:
        """From when to when; a session over midnight shows both days."""
        words = {"day": self.day(starts), "start": self.clock(starts)}
        if ends <= starts:
            return _START_ONLY[self.locale].format(**words)
        pattern = _SAME_DAY if self._day_of(starts) == self._day_of(ends) else _TWO_DAYS
        return pattern[self.locale].format(**words, end=self.clock(ends), last=self.day(ends))

    def money(self, amount: Decimal, currency: str) -> str:
        """An amount: `NT$2,800`, `80,00 €`."""
        return _money(self, amount, currency)

    def number(self, amount: Decimal) -> str:
        """An amount of no currency: `1,234.5`."""
        # Most are whole, and no two members have the same: Babel takes ten times as long, and no cache helps.
        if self.thousands and amount >= 0 and amount == (whole := int(amount)):
            return f"{whole:,}".replace(",", self.thousands)
        return format_decimal(amount, locale=self.home)

    def points(self, amount: Decimal) -> str:
        """So many of a bonus: `1 bonus point`, `300 bonus points`."""
        one = amount < 2 if self.locale == "fr" else amount == 1
        return f"{self.number(amount)} {_POINTS[self.locale][not one]}"

    def days(self, count: int) -> str:
        """`1 day`, `3 days`."""
        return f"{count} {_DAYS[self.locale][count > 1]}"

    def minutes(self, count: int) -> str:
        """`10 minutes`."""
        return f"{count} {_MINUTES[self.locale][count > 1]}"

    def method(self, payment_method: str) -> str:
        """The name of a payment method; one that is not known stays as it is."""
        if payment_method not in list(PaymentMethod):
            return payment_method
        return _METHODS[PaymentMethod(payment_method)][SHIPPED.index(self.locale)]

    def listed(self, names: Iterable[str]) -> str:
        """`Ann, Bo and Cy`."""
        first, *more = [*names] or [""]
        return format_list([first, *more], locale=self.home) if more else first

    def _local(self, instant: datetime) -> datetime:
        return local(instant, self.zone)

    def _day_of(self, instant: datetime) -> date:
        return self._local(instant).date()


@lru_cache(maxsize=KEPT)
def _formats(tags: tuple[str, ...], zone: str) -> Formats:
    tag = next((tag for tag in tags if shipped_locale(tag)), "en")
    locale = shipped_locale(tag) or "en"
    home = _home(tag, locale)
    grouped = home.decimal_formats[None].grouping == (3, 3)
    return Formats(locale, home, zone, home.number_symbols["latn"]["group"] if grouped else "")


@lru_cache(maxsize=500)
def _home(tag: str, locale: str) -> Locale:
    """The reader's own region where Babel knows it and the tag names one."""
    try:
        found = Locale.parse(tag.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        found = None
    if found is None or found.territory is None or locale == "zh-Hant":
        return Locale.parse(_HOMES[locale])
    return found


@lru_cache(maxsize=KEPT)
def _day(formats: Formats, instant: datetime) -> str:
    return _date(formats, formats._day_of(instant))


@lru_cache(maxsize=KEPT)
def _date(formats: Formats, day: date) -> str:
    text = format_date(day, _DAY[formats.locale], locale=formats.home)
    # French says `1er`, not `1`, for the first of a month.
    return text.replace(" 1 ", " 1er ", 1) if formats.locale == "fr" and day.day == 1 else text


@lru_cache(maxsize=KEPT)
def _short_date(formats: Formats, day: date) -> str:
    return format_date(day, _DATE[formats.locale], locale=formats.home)


@lru_cache(maxsize=KEPT)
def _short_day(formats: Formats, instant: datetime) -> str:
    return format_date(formats._local(instant), _SHORT_DAY[formats.locale], locale=formats.home)


@lru_cache(maxsize=KEPT)
def _clock(formats: Formats, instant: datetime) -> str:
    at = formats._local(instant)
    if formats.locale == "fr":
        return f"{at.hour}\u00a0h" + (f"\u00a0{at:%M}" if at.minute else "")
    pattern = "HH:mm" if formats.locale == "zh-Hant" else "short"
    return format_time(at.time(), pattern, locale=formats.home)


@lru_cache(maxsize=KEPT)
def _money(formats: Formats, amount: Decimal, currency: str) -> str:
    whole = currency in _WHOLE and amount == amount.to_integral_value()
    pattern = copy(formats.home.currency_formats["standard"])
    pattern.frac_prec = (0, 0) if whole else pattern.frac_prec
    text = format_currency(amount, currency, format=pattern, locale=formats.home, currency_digits=not whole)
    symbol = get_currency_symbol(currency, locale=formats.home)
    # A code before the number wants a space, which Babel leaves out: `CHF 5.00`.
    gap = "\u00a0" if symbol[-1:].isalpha() and not text.endswith(symbol) else ""
    return text.replace(symbol, _SYMBOLS.get(currency, symbol) + gap)
