"""What a call carries in its body."""

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

LONGEST = 64 * 1024
"""A call of a provider is some hundreds of bytes."""


async def form_of(request: Request) -> dict[str, str]:
    """The fields of an urlencoded body; none for a GET. 413 for one that is too long."""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST:
                raise HTTPException(413, f"a call of more than {LONGEST} bytes is not read")
    except ClientDisconnect:
        raise HTTPException(400, "the call ended before it was whole") from None
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
