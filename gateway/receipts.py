"""Where providers tell what became of messages: `/receipts/{provider}/{merchant}`.

Who calls is proven before anything is believed: Twilio signs its calls with the account's token; TwSMS signs
nothing, so its address carries a key of ours (`CARILLON_TWSMS_DRURL_KEY`).
"""

import hmac
import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from activities.rates import real_time
from activities.receipts import Receipts
from channels.base import Credentials
from channels.callbacks import TELLING, callback
from gateway.callers import signed_by_twilio
from gateway.forms import form_of

_log = logging.getLogger(__name__)


class ReceiptCalls:
    """Takes the calls of providers."""

    def __init__(self, receipts: Receipts, credentials: Credentials) -> None:
        self._receipts = receipts
        self._credentials = credentials

    async def told(self, request: Request) -> Response:
        """Settle the message that a provider speaks of. 204, also for one that is not ours or not sent yet.

        404 for a provider that does not call, 403 for a call that is not proven, 400 for one without the id
        of a message, 413 for one that is too long.
        """
        provider, merchant = request.path_params["provider"], request.path_params["merchant"]
        if provider not in TELLING:
            raise HTTPException(404, f"there is no provider {provider!r} that calls: {', '.join(TELLING)}")
        form = await form_of(request)
        if not self._proven(request, provider, merchant, form):
            _log.warning("a call for %s of %r was not proven and is not believed", provider, merchant)
            raise HTTPException(403, "the call is not proven to come from the provider")
        word = callback(provider, {**request.query_params, **form})
        if not word.provider_id:
            raise HTTPException(400, "the call names no message")
        # One that is not noted as sent yet is kept, and taken once it is.
        await self._receipts.told(provider, word.provider_id, word.state, real_time(), word.dead_address)
        return Response(status_code=204)

    def _proven(self, request: Request, provider: str, merchant: str, form: Mapping[str, str]) -> bool:
        if provider == "twilio":
            return signed_by_twilio(request, self._credentials, merchant, form)
        key = self._credentials.get("TWSMS_DRURL_KEY", merchant)
        given = request.query_params.get("key", "")
        return bool(key) and hmac.compare_digest(key.encode(), given.encode())
