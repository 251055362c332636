"""Messages shown to a developer instead of sent."""

from collections.abc import Callable, Iterator

from channels.base import Abilities, Message, Receipt
from channels.sms_text import segments


class ConsoleChannel:
    """Writes one block a message, of whatever channel, and counts it as sent."""

    provider = "console"
    abilities = Abilities()

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    async def send(self, message: Message) -> Receipt:
        self._write("\n".join(_block(message)) + "\n")
        return Receipt(self.provider, provider_id=message.key)

    async def close(self) -> None:
        """Nothing to close: whoever gave `write` owns it."""


def _block(message: Message) -> Iterator[str]:
    yield f"── {message.key} ──"
    yield f"to       {message.to}" + (f" ({message.to_name})" if message.to_name else "")
    if message.sender_name:
        yield f"from     {message.sender_name}"
    if message.subject:
        yield f"subject  {message.subject}"
    else:
        length = segments(message.text)
        yield f"length   {length.units} {length.encoding}, {length.segments} segment(s)"
    if message.unsubscribe_url:
        yield f"decline  {message.unsubscribe_url}"
    if message.image_url:
        yield f"image    {message.image_url}"
    if message.button:
        yield f"button   {message.button[0]} → {message.button[1]}"
    for attachment in message.attachments:
        yield f"file     {attachment.filename} ({attachment.media_type}, {len(attachment.content)} bytes)"
    for line in message.text.splitlines():
        yield f"  │ {line}"
