"""What `carillon doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what is wrong with it (nothing, if it is well), the mend, how grave.

    What is wrong and not grave (0) is only to be known.
    """

    what: str
    wrong: str = ""
    mend: str = ""
    status: int = 0
