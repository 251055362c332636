"""What providers tell by calling an address of ours. Pure: who may call is not decided here."""

from collections.abc import Callable, Mapping

from channels import twilio, twsms
from channels.base import Word

_READERS: Mapping[str, Callable[[Mapping[str, str]], Word]] = {"twilio": twilio.word, "twsms": twsms.told}

TELLING = tuple(_READERS)
"""The providers that call."""


def callback(provider: str, form: Mapping[str, str]) -> Word:
    """The message and its state in a call of this provider's; the id is empty where the form holds none.

    KeyError for a provider that does not call.
    """
    return _READERS[provider](form)
