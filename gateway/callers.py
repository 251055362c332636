"""Who calls: what proves it. See docs/decisions/0010-who-may-tell-what-became-of-a-message.md."""

from collections.abc import Mapping

from starlette.requests import Request

from channels.base import Credentials
from channels.twilio import valid_signature


def signed_by_twilio(
    request: Request, credentials: Credentials, merchant: str, form: Mapping[str, str]
) -> bool:
    """Whether a call carries the signature of the merchant's account at Twilio."""
    token = credentials.get("TWILIO_AUTH_TOKEN", merchant)
    signature = request.headers.get("X-Twilio-Signature", "")
    return valid_signature(token, _called(request, credentials, merchant), form, signature)


def _called(request: Request, credentials: Credentials, merchant: str) -> str:
    """The address that was called, as the caller knows it: behind a proxy it is not the one seen here."""
    url = request.url
    public = credentials.get("PUBLIC_URL", merchant).rstrip("/")
    if not public:
        return str(url)
    return f"{public}{url.path}" + (f"?{url.query}" if url.query else "")
