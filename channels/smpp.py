"""SMS over SMPP 3.4, to an operator's or an aggregator's SMSC.

Settings: `SMPP_HOST`, `SMPP_PORT` (2775), `SMPP_SYSTEM_ID`, `SMPP_PASSWORD`, `SMPP_SYSTEM_TYPE`; `SMPP_TLS`
and `SMPP_CA_FILE`; `SMPP_SOURCE` (the sender: a name of up to 11 characters or a number), `SMPP_SOURCE_TON`
and `SMPP_SOURCE_NPI` (else by the look of the sender), `SMPP_DEST_TON` and `SMPP_DEST_NPI` (1 and 1,
international); `SMPP_LONG` (`udh`: a long text leaves in pieces; `payload`: whole, as `message_payload`);
`SMPP_WINDOW` (10 messages may wait for an answer), `SMPP_TIMEOUT` (20 seconds), `SMPP_ENQUIRE` (30 seconds);
`SMPP_RECEIPT_IDS` (`same`; `decimal` where receipts name in decimal the message that was answered in
hexadecimal; `hex` for the other way round).

A text in GSM-7 goes in the SMSC's default alphabet (data_coding 0), which is taken to be GSM 03.38 unpacked;
any other in UCS-2. SMPP drops no duplicates.

The receipt of a long text is asked for its last piece only, and the id of that piece is the message's. The
SMSC is part of the id, for two of them may give out the same.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from channels.base import (
    SMS_CONTENT,
    Abilities,
    Credentials,
    DeliveryError,
    DeliveryState,
    Message,
    OnReceipt,
    OnReply,
    Receipt,
    Reply,
    Word,
    misconfigured,
)
from channels.smpp_pdu import (
    Address,
    Command,
    Delivery,
    Pdu,
    Status,
    Submission,
    concatenated,
    message_id,
    receipt,
)
from channels.smpp_session import SmppLink, Smsc, Told
from channels.sms_http import E164, e164
from channels.sms_text import is_gsm7, pieces, septets

GSM7, UCS2 = 0x00, 0x08
MOST_PIECES = 255

INTERNATIONAL, NETWORK_SPECIFIC, ALPHANUMERIC = 1, 3, 5

ANSWERED_IN: Mapping[str, int | None] = {"same": None, "decimal": 16, "hex": 10}
TOLD_IN: Mapping[str, int | None] = {"same": None, "decimal": 10, "hex": 16}
"""The base of the number that is a message's id, by SMPP_RECEIPT_IDS."""

BUSY = {Status.THROTTLED: "throttled", Status.QUEUE_FULL: "queue_full"}
PATIENCE = timedelta(seconds=1)
"""How long a throttled message waits: SMPP names no time, and its limits are per second."""


class SmppChannel:
    """One SMSC a merchant, or one for all.

    `on_receipt` is told what becomes of messages; without it no receipts are asked for. `on_reply` is told of
    each SMS that comes in on the same bind.
    """

    provider = "smpp"

    def __init__(
        self,
        credentials: Credentials,
        on_receipt: OnReceipt | None = None,
        on_reply: OnReply | None = None,
    ) -> None:
        self._credentials = credentials
        self._on_receipt = on_receipt
        self._on_reply = on_reply
        self._links: dict[tuple[Smsc, str], SmppLink] = {}
        self.abilities = Abilities(
            content=SMS_CONTENT, receipts=on_receipt is not None, account=("SMPP_HOST", "SMPP_SYSTEM_ID")
        )

    async def send(self, message: Message) -> Receipt:
        merchant = message.merchant_id
        smsc, ids = self._smsc(merchant), self._ids(merchant)
        parts = self._submissions(message)
        answer = await self._hand_over(self._link(smsc, ids), parts, patience=smsc.timeout)
        return Receipt(self.provider, _id(message_id(answer.body), ANSWERED_IN[ids], smsc))

    async def listen(self, merchant_id: str) -> None:
        """Bind now, to hear what became of messages that an earlier process handed over."""
        await self._link(self._smsc(merchant_id), self._ids(merchant_id)).listen()

    async def ask(self, provider_id: str, merchant_id: str, to: str) -> Word:  # noqa: ARG002  (HTTP's want it)
        """An SMSC is not asked, it tells: what matters is that somebody listens."""
        await self.listen(merchant_id)
        return Word(provider_id, DeliveryState.PENDING)

    async def close(self) -> None:
        links, self._links = self._links, {}
        await asyncio.gather(*(link.close() for link in links.values()))

    async def _hand_over(self, link: SmppLink, parts: Sequence[Submission], patience: float) -> Pdu:
        """One piece after the other. Once the first is taken, the others wait out a throttle here.

        Else a text of more pieces than the SMSC takes in a second would begin anew each time, for ever.
        """
        until = asyncio.get_running_loop().time() + patience
        for number, part in enumerate(parts):
            answer = await link.submit(part.encode())
            while number and answer.status in BUSY and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(PATIENCE.total_seconds())
                answer = await link.submit(part.encode())
            if answer.status != Status.OK or answer.command == Command.GENERIC_NACK:
                raise _refused(answer.status)
        return answer

    def _submissions(self, message: Message) -> list[Submission]:
        cut = pieces(message.text)
        if not cut:
            raise DeliveryError("the text is empty", permanent=True, code="empty")
        payload = len(cut) > 1 and self._long(message.merchant_id) == "payload"
        if payload:
            cut = (message.text,)
        if len(cut) > MOST_PIECES:
            raise DeliveryError("the text is too long", permanent=True, code="too_long")
        plain = is_gsm7(message.text)
        contents = [septets(piece) if plain else piece.encode("utf-16-be", "replace") for piece in cut]
        joined = len(contents) > 1
        if joined:
            # The same for the same message: a phone that gets a piece twice shows it once.
            contents = concatenated(contents, hashlib.sha256(message.key.encode()).digest()[0])
        source, destination = self._source(message.merchant_id), self._destination(message)
        return [
            Submission(
                source,
                destination,
                content,
                data_coding=GSM7 if plain else UCS2,
                udh=joined,
                payload=payload,
                receipt=self._on_receipt is not None and number == len(contents),
                valid_for=message.valid_for,
            )
            for number, content in enumerate(contents, start=1)
        ]

    def _link(self, smsc: Smsc, ids: str) -> SmppLink:
        if (smsc, ids) not in self._links:
            self._links[smsc, ids] = SmppLink(smsc, self._told(smsc, ids))
        return self._links[smsc, ids]

    def _told(self, smsc: Smsc, ids: str) -> Told | None:
        if self._on_receipt is None:
            return None
        on_receipt = self._on_receipt

        async def told(delivery: Delivery) -> None:
            if not delivery.receipt:
                await self._replied(delivery, smsc)
            elif (found := receipt(delivery)) is not None:
                await on_receipt(_id(found[0], TOLD_IN[ids], smsc), found[1])

        return told

    async def _replied(self, delivery: Delivery, smsc: Smsc) -> None:
        """An SMS from a phone; from an SMSC that names it at home (`0912...`) nobody can tell whose it is."""
        address = "+" + delivery.source.removeprefix("+")
        if self._on_reply is None or not E164.fullmatch(address):
            return
        meant = partial(self._sends_from, smsc, delivery.destination)
        await self._on_reply(Reply(self.provider, address, delivery.said, meant))

    def _sends_from(self, smsc: Smsc, number: str, merchant: str) -> bool:
        """Whether a merchant sends by this SMSC, and from that number, as far as its sender is set."""
        try:
            sender = self._source(merchant).number
            return self._smsc(merchant) == smsc and (not sender or _same_number(sender, number))
        except DeliveryError:
            return False

    def _smsc(self, merchant: str) -> Smsc:
        settings = self._credentials
        return Smsc(
            host=settings.require("SMPP_HOST", merchant).strip(),
            port=int(settings.number("SMPP_PORT", merchant, 2775, whole=True)),
            system_id=_short("SMPP_SYSTEM_ID", settings.require("SMPP_SYSTEM_ID", merchant), 15),
            password=_short("SMPP_PASSWORD", settings.get("SMPP_PASSWORD", merchant), 64),
            system_type=_short("SMPP_SYSTEM_TYPE", settings.get("SMPP_SYSTEM_TYPE", merchant), 12),
            tls=settings.switch("SMPP_TLS", merchant),
            ca_file=settings.get("SMPP_CA_FILE", merchant).strip(),
            timeout=settings.number("SMPP_TIMEOUT", merchant, 20),
            enquire=settings.number("SMPP_ENQUIRE", merchant, 30),
            window=int(settings.number("SMPP_WINDOW", merchant, 10, whole=True)),
        )

    def _ids(self, merchant: str) -> str:
        return self._credentials.choice("SMPP_RECEIPT_IDS", merchant, tuple(TOLD_IN), "same")

    def _long(self, merchant: str) -> str:
        return self._credentials.choice("SMPP_LONG", merchant, ("udh", "payload"), "udh")

    def _source(self, merchant: str) -> Address:
        sender = _short("SMPP_SOURCE", self._credentials.get("SMPP_SOURCE", merchant).strip(), 20)
        ton, npi = _numbering(sender)
        return Address(
            sender.removeprefix("+"),
            self._octet("SMPP_SOURCE_TON", merchant, ton),
            self._octet("SMPP_SOURCE_NPI", merchant, npi),
        )

    def _destination(self, message: Message) -> Address:
        return Address(
            e164(message.to).removeprefix("+"),
            self._octet("SMPP_DEST_TON", message.merchant_id, INTERNATIONAL),
            self._octet("SMPP_DEST_NPI", message.merchant_id, 1),
        )

    def _octet(self, name: str, merchant: str, default: int) -> int:
        value = self._credentials.get(name, merchant).strip()
        if not value:
            return default
        if not value.isdecimal() or int(value) > 0xFF:
            raise misconfigured(name, "a number from 0 to 255")
        return int(value)


def _numbering(sender: str) -> tuple[int, int]:
    """TON and NPI by the look of a sender: a name, an international number, a short code."""
    if not sender:
        return 0, 0
    if not sender.removeprefix("+").isdecimal():
        return ALPHANUMERIC, 0
    if sender.startswith("+") or len(sender) > 8:
        return INTERNATIONAL, 1
    return NETWORK_SPECIFIC, 0


def _same_number(one: str, other: str) -> bool:
    """Whether two spellings are one number: with the country's code, and as it is dialled at home."""
    short, long = sorted((number.removeprefix("+").lstrip("0") for number in (one, other)), key=len)
    return bool(short) and long.endswith(short)


def _id(said: str, base: int | None, smsc: Smsc) -> str:
    """The id of a message, in the one form that its answer and its receipt can both be brought to."""
    if base is not None:
        with suppress(ValueError):
            said = str(int(said, base))
    return f"{said}@{smsc.host}:{smsc.port}" if said else ""


def _refused(status: int) -> DeliveryError:
    """What an SMSC means by a status. Final is only what lies in the number or the text."""
    reason = f"the SMSC refused: status {status:#x}"
    match status:
        case Status.THROTTLED | Status.QUEUE_FULL:
            return DeliveryError(reason, code=BUSY[Status(status)], retry_after=PATIENCE)
        case Status.INVALID_DESTINATION:
            return DeliveryError(f"{reason}, no such number", dead_address=True, code="bad_number")
        case Status.INVALID_LENGTH:
            return DeliveryError(f"{reason}, the text is too long", permanent=True, code="too_long")
        case _:
            return DeliveryError(reason, code=f"smpp_{status:#x}")


def _short(name: str, value: str, longest: int) -> str:
    if len(value) > longest or not value.isascii() or not value.isprintable():
        raise misconfigured(name, f"ASCII of up to {longest} characters")
    return value
