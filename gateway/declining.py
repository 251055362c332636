"""Where recipients ask for no more of a class of emails: `/unsubscribe/{merchant}/{token}`.

A GET only shows a page with a button, for mail scanners follow every link. A POST declines: from that button,
or from the mail program's own (RFC 8058).
"""

from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from activities.consents import Consents
from activities.declining import DecliningLinks
from activities.formats import Formats
from activities.merchants import Merchants, UnknownMerchantError
from activities.rates import real_time
from activities.rendering import TEMPLATES
from activities.template_engine import ShippedTemplates
from gateway.forms import form_of
from models.consent import Consent, ConsentGiven
from models.declining import Declining
from models.merchant import Merchant

PAGE = "_pages/unsubscribe.j2"
GUARDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""The address is a key: it goes nowhere else, and the page runs and fetches nothing."""
LINK, UNDONE = "unsubscribe link", "unsubscribe link, taken back"

State = Literal["ask", "done", "again", "unknown"]


class DecliningCalls:
    """Shows the page, and keeps what is said there."""

    def __init__(self, consents: Consents, merchants: Merchants, links: DecliningLinks) -> None:
        self._consents = consents
        self._merchants = merchants
        self._links = links
        self._shipped = ShippedTemplates(TEMPLATES)

    async def shown(self, request: Request) -> Response:
        """The question, with a button. Changes nothing."""
        merchant, declining = await self._meant(request)
        return self._page(merchant, declining, "ask")

    async def told(self, request: Request) -> Response:
        """Decline; with `again=yes`, take it back. Twice is once."""
        merchant, declining = await self._meant(request)
        if declining is None:
            return self._page(merchant, None, "unknown")
        again = (await form_of(request)).get("again") == "yes"
        await self._consents.record_consent([_word(declining, again=again)])
        return self._page(merchant, declining, "again" if again else "done")

    async def _meant(self, request: Request) -> tuple[Merchant, Declining | None]:
        merchant_id, token = request.path_params["merchant"], request.path_params["token"]
        try:
            merchant = await self._merchants.get(merchant_id)
        except UnknownMerchantError:
            raise HTTPException(404, "there is no such shop") from None
        return merchant, self._links.read(merchant_id, token)

    def _page(self, merchant: Merchant, declining: Declining | None, state: State) -> Response:
        """404 for a link that is not ours, with the same page: who follows it is told what to do."""
        formats = Formats.of((declining.locale if declining else "", merchant.locale), merchant.zone)
        values = {
            "locale": formats.locale,
            "shop": merchant.name,
            "shop_email": merchant.email,
            "class": declining.notice_class.word if declining else "",
            "state": state if declining else "unknown",
        }
        text = self._shipped.block(PAGE, "page", values, page=True)
        return HTMLResponse(text.strip() + "\n", 200 if declining else 404, GUARDS)


def _word(declining: Declining, *, again: bool) -> ConsentGiven:
    return ConsentGiven(
        declining.merchant_id,
        declining.channel,
        declining.notice_class,
        Consent.OPTED_IN if again else Consent.OPTED_OUT,
        UNDONE if again else LINK,
        real_time(),
        declining.member_id,
        declining.address,
    )
