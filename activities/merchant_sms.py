"""The SMS texts in a merchant's file: which one serves a locale, and what is wrong with one. [WACA-23]"""

from collections.abc import Mapping

from activities.formats import SHIPPED, shipped_locale
from activities.template_names import names_of, needed_in
from activities.template_syntax import listed, nearest, problems_of
from models.channels import SMS
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind


def check_sms_text(kind: str, locale: str, text: str, merchant: Merchant) -> list[str]:
    """Everything that is wrong with a merchant's own SMS text, in whole sentences; empty when it is good."""
    where = f"sms.texts.{kind}.{locale}"
    known = [kind.value for kind, row in CATALOGUE.items() if SMS in row.editable.channels]
    problems = []
    if kind not in known:
        problems.append(
            f"{where}: {kind!r} is no kind of SMS{nearest(kind, known)}; there is {listed(known)}"
        )
    if shipped_locale(locale) is None:
        problems.append(f"{where}: {locale!r} is no locale that is served; there is {listed(SHIPPED)}")
    problems += [f"{where}: {problem}" for problem in length_problems(text, merchant)]
    if kind in known:
        problems += [f"{where}: {problem}" for problem in text_problems(Kind(kind), text, merchant)]
    return problems


def length_problems(text: str, merchant: Merchant) -> list[str]:
    """Whether an SMS text is too long for this merchant, or says nothing."""
    limit = merchant.sms.text_limit
    if len(text) > limit:
        return [f"the text has {len(text)} characters, and {limit} are allowed"]
    return [] if text.strip() else ["the text is empty: leave it out to have the shipped one"]


def text_problems(kind: Kind, text: str, merchant: Merchant) -> list[str]:
    """What keeps a text from being used: its syntax, what is not allowed in it, names unknown or missing."""
    return problems_of(text, names_of(kind, SMS, merchant), needed_in(kind))


def own_text(texts: Mapping[str, Mapping[str, str]], kind: Kind, locale: str) -> str:
    """The merchant's own text for a kind in a locale, or an empty string."""
    mine = texts.get(kind, {})
    served = (text for tag, text in mine.items() if shipped_locale(tag) == locale)
    return mine.get(locale) or next(served, "")
