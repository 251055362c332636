"""The application: its addresses, and how it tells of errors."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from activities.receipts import Receipts
from channels.base import Credentials
from gateway.receipts import ReceiptCalls


def application(receipts: Receipts, credentials: Credentials) -> Starlette:
    """All that is answered over HTTP."""
    calls = ReceiptCalls(receipts, credentials)
    routes = [
        Route("/health", _well),
        Route("/receipts/{provider}/{merchant}", calls.told, methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error})


async def _well(_: Request) -> Response:
    return JSONResponse({"status": "well"})


async def _error(_: Request, error: Exception) -> Response:
    """Errors are JSON with a sentence, whoever raised them."""
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
