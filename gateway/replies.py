"""Where Twilio tells of SMS that come in: `/answers/twilio/{merchant}`. STOP ends what goes there."""

import logging
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from activities.merchants import Merchants, UnknownMerchantError
from activities.replies import Replies
from channels.base import Credentials
from channels.sms_http import E164
from channels.twilio import TwilioChannel, replied, same_sender
from gateway.callers import signed_by_twilio
from gateway.forms import form_of

NO_ANSWER = "<Response/>"
"""Nothing of ours is said back: Twilio answers STOP and START itself."""

_log = logging.getLogger(__name__)


class ReplyCalls:
    """Takes what is written back."""

    def __init__(self, replies: Replies, merchants: Merchants, credentials: Credentials) -> None:
        self._replies = replies
        self._merchants = merchants
        self._credentials = credentials

    async def told(self, request: Request) -> Response:
        """Keep to STOP and START; anything else is thanked for and left alone.

        404 for a merchant that is not known, 403 for a call that is not proven, 413 for one that is too long.
        """
        merchant = request.path_params["merchant"]
        form = await form_of(request)
        if not signed_by_twilio(request, self._credentials, merchant, form):
            _log.warning("an SMS to %r was not proven to come by Twilio and is not believed", merchant)
            raise HTTPException(403, "the call is not proven to come from the provider")
        try:
            await self._merchants.get(merchant)
        except UnknownMerchantError:
            raise HTTPException(404, f"there is no merchant {merchant!r}") from None
        address, text = replied(form)
        if E164.fullmatch(address):
            shares = partial(same_sender, self._credentials, merchant)
            await self._replies.said(merchant, TwilioChannel.provider, address, text, shares)
        return Response(NO_ANSWER, media_type="text/xml")
