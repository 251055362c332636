"""The application: its addresses, and how it tells of errors."""

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from activities.consents import Consents
from activities.declining import DecliningLinks
from activities.merchants import Merchants
from activities.receipts import Receipts
from activities.replies import Replies
from channels.registry import Channels
from gateway.declining import DecliningCalls
from gateway.receipts import ReceiptCalls
from gateway.replies import ReplyCalls


def application(engine: AsyncEngine, channels: Channels) -> Starlette:
    """All that is answered over HTTP."""
    calls = ReceiptCalls(Receipts(engine, channels), channels.credentials)
    replies = ReplyCalls(Replies(engine), Merchants(engine), channels.credentials)
    links = DecliningLinks(channels.credentials)
    declining = DecliningCalls(Consents(engine), Merchants(engine), links)
    routes = [
        Route("/health", _well),
        Route("/receipts/{provider}/{merchant}", calls.told, methods=["GET", "POST"]),
        Route("/answers/twilio/{merchant}", replies.told, methods=["POST"]),
        Route("/unsubscribe/{merchant}/{token}", declining.shown, methods=["GET"]),
        Route("/unsubscribe/{merchant}/{token}", declining.told, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error})


async def _well(_: Request) -> Response:
    return JSONResponse({"status": "well"})


async def _error(_: Request, error: Exception) -> Response:
    """Errors are JSON with a sentence, whoever raised them."""
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
