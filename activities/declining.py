"""Where emails that may be declined can be: at a page of the gateway, with a link that only we can make."""

from urllib.parse import quote

from channels.base import Credentials
from models.agenda import Notice
from models.channels import EMAIL
from models.declining import Declining, sealed, unsealed
from models.merchant import Merchant
from models.notices import CATALOGUE, NoticeClass

KEY = "UNSUBSCRIBE_KEY"
"""The secret of the links. Several, set apart by commas: the first makes them, those of all are good."""


def declinable(notice_class: NoticeClass) -> bool:
    """Whether a member may refuse notices of that class, and stay a member."""
    return notice_class > NoticeClass.REMINDER


class DecliningLinks:
    """Makes and reads the links of all merchants."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def link(self, notice: Notice, merchant: Merchant, locale: str) -> str:
        """The page where no more emails of that class can be asked for.

        An empty string where the class may not be declined, or there is no public gateway or no key.
        """
        notice_class, person = CATALOGUE[notice.kind].notice_class, notice.recipient
        public = self._credentials.get("PUBLIC_URL", merchant.id).rstrip("/")
        keys = self._keys(merchant.id)
        if not (declinable(notice_class) and public and keys):
            return ""
        address = "" if person.member_id else person.email
        said = Declining(merchant.id, EMAIL, notice_class, locale, person.member_id, address)
        return f"{public}/unsubscribe/{quote(merchant.id, safe='')}/{sealed(said, keys[0])}"

    def read(self, merchant_id: str, token: str) -> Declining | None:
        """What a link of ours says; None for any other."""
        return unsealed(merchant_id, token, self._keys(merchant_id))

    def _keys(self, merchant_id: str) -> list[str]:
        return [key for one in self._credentials.get(KEY, merchant_id).split(",") if (key := one.strip())]
