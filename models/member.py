"""A member of one merchant, as a shop system tells of it."""

from dataclasses import dataclass
from datetime import date, datetime

from models.people import Person


@dataclass(frozen=True)
class Member:
    """A registered customer.

    `customer_id`: with a value the member is bound, blank it is not; personal data. [MAAC-01, MAAC-02]
    `zone`: empty means that of the branch, else of the merchant. `registered_at` is a UTC instant.
    """

    merchant_id: str
    member_id: str
    name: str
    registered_at: datetime
    email: str = ""
    phone: str = ""
    push: str = ""
    locale: str = ""
    zone: str = ""
    birth_date: date | None = None
    branch_id: str = ""
    customer_id: str = ""
    groups: tuple[str, ...] = ()

    @property
    def bound(self) -> bool:
        """Whether the member is known elsewhere under its customer ID. No other test. [MAAC-02]"""
        return bool(self.customer_id.strip())

    @property
    def person(self) -> Person:
        """Whom messages go to."""
        return Person(
            self.name,
            self.email,
            self.phone,
            self.locale,
            member_id=self.member_id,
            id=self.member_id,
            push=self.push,
            zone=self.zone,
        )
