"""SMS over SMPP, against a real SMSC (the npm package `smpp`) on loopback."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import Attachment, Credentials, DeliveryError, DeliveryState, Message
from channels.smpp import SmppChannel
from channels.sms_text import segments
from tests.providers import TEST_AUTHORITY
from tests.requirements import requirement
from tests.smsc.process import Smsc

SMS = Message(key="coupon:lumi:c1/issued/m1", merchant_id="lumi", to="+886912345678", text="您的優惠券已送達")
THROTTLED, QUEUE_FULL, NO_SUCH_NUMBER, TOO_LONG, SYSTEM_ERROR, VENDOR = 0x58, 0x14, 0x0B, 0x01, 0x08, 0x0401


class Told:
    """What the channel told about messages, and how often to refuse to hear it."""

    def __init__(self) -> None:
        self.states: list[tuple[str, DeliveryState]] = []
        self.refuse = 0
        self.news = asyncio.Event()

    async def __call__(self, provider_id: str, state: DeliveryState) -> None:
        if self.refuse:
            self.refuse -= 1
            raise RuntimeError("the database is down")
        self.states.append((provider_id, state))
        self.news.set()


@pytest.fixture(scope="module")
async def process() -> AsyncIterator[Smsc]:
    """One SMSC for all: node takes its time to start."""
    async with Smsc.running() as smsc:
        yield smsc


@pytest.fixture
async def smsc(process: Smsc) -> Smsc:
    await process.fresh()
    return process


@asynccontextmanager
async def smpp(
    smsc: Smsc, more: Mapping[str, str] | None = None, told: Told | None = None
) -> AsyncIterator[SmppChannel]:
    environment = {**smsc.environment, **{f"CARILLON_SMPP_{k.upper()}": v for k, v in (more or {}).items()}}
    channel = SmppChannel(Credentials(environment), told)
    try:
        yield channel
    finally:
        await channel.close()
        await smsc.settled()


async def failure(channel: SmppChannel, message: Message = SMS) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(message)
    return caught.value


@requirement("LOY-22")
async def test_an_sms_goes_as_text_only_in_the_coding_that_it_needs(smsc: Smsc) -> None:
    """GSM-7 in the default alphabet, anything else in UCS-2, and nothing but the text."""
    card = Attachment("card.png", "image/png", b"png")
    async with smpp(smsc) as channel:
        receipt = await channel.send(replace(SMS, html="<p>", attachments=(card,)))
        await channel.send(replace(SMS, to="+33612345678", text="Déjà 10 € [£5] @ Ω_{ok}"))
    chinese, french = smsc.submitted
    assert (chinese["text"], chinese["data_coding"]) == (SMS.text, 8)
    assert (french["text"], french["data_coding"]) == ("Déjà 10 € [£5] @ Ω_{ok}", 0)
    assert chinese["destination"] == ["886912345678", 1, 1]
    assert (chinese["esm_class"], chinese["udh"], chinese["payload"]) == (0, "", False)
    assert receipt.provider_id == f"{chinese['id']}@127.0.0.1:{smsc.port}"
    bind = smsc.all("bind")
    assert [one["version"] for one in bind] == [0x34]
    assert len(smsc.all("unbind")) == 1


@pytest.mark.parametrize("text", ["a" * 152 + "€" + "b" * 200, "好" * 66 + "😀" + "好" * 80])
async def test_a_long_text_leaves_in_the_pieces_that_were_counted(smsc: Smsc, text: str) -> None:
    """As many as `segments` says; a phone that reads the headers puts the same text together."""
    async with smpp(smsc) as channel:
        receipt = await channel.send(replace(SMS, text=text))
        await channel.send(replace(SMS, text=text))
    count = segments(text).segments
    first, again = smsc.submitted[:count], smsc.submitted[count:]
    assert "".join(sms["text"] for sms in first) == text
    reference = first[0]["udh"][4:6]  # the package leaves the header's own length out
    assert [sms["udh"] for sms in first] == [f"0003{reference}{count:02x}{n + 1:02x}" for n in range(count)]
    assert {sms["esm_class"] for sms in first} == {0x40}
    assert [sms["udh"] for sms in again] == [sms["udh"] for sms in first]
    assert receipt.provider_id.startswith(f"{first[-1]['id']}@")


async def test_a_long_text_may_leave_whole(smsc: Smsc) -> None:
    """For an SMSC that cuts it itself, as `message_payload`."""
    async with smpp(smsc, {"long": "payload"}) as channel:
        await channel.send(replace(SMS, text="好" * 200))
        await channel.send(SMS)
    assert [(sms["text"], sms["payload"]) for sms in smsc.submitted] == [
        ("好" * 200, True),
        (SMS.text, False),
    ]


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        ({}, ["", 0, 0]),
        ({"source": "LUMI"}, ["LUMI", 5, 0]),
        ({"source": "+886900000001"}, ["886900000001", 1, 1]),
        ({"source": "55123"}, ["55123", 3, 0]),
        ({"source": "55123", "source_ton": "0", "source_npi": "9"}, ["55123", 0, 9]),
    ],
)
async def test_the_sender_is_numbered_by_its_look_unless_it_is_set(
    smsc: Smsc, settings: dict[str, str], source: list[object]
) -> None:
    """A name is alphanumeric, a long number international, a short code the network's own."""
    async with smpp(smsc, settings) as channel:
        await channel.send(replace(SMS, valid_for=timedelta(hours=2)))
    assert smsc.submitted[0]["source"] == source
    assert smsc.submitted[0]["registered_delivery"] == 0
    assert smsc.submitted[0]["validity_period"]


@pytest.mark.parametrize(
    ("answer", "permanent", "dead", "code", "wait"),
    [
        ({"status": NO_SUCH_NUMBER}, True, True, "bad_number", None),
        ({"status": TOO_LONG}, True, False, "too_long", None),
        ({"status": THROTTLED}, False, False, "throttled", timedelta(seconds=1)),
        ({"status": QUEUE_FULL}, False, False, "queue_full", timedelta(seconds=1)),
        ({"status": SYSTEM_ERROR}, False, False, "smpp_0x8", None),
        ({"status": VENDOR}, False, False, "smpp_0x401", None),
        ({"nack": 0x03}, False, False, "smpp_0x3", None),
    ],
)
async def test_a_status_is_final_only_where_it_is_about_the_number_or_the_text(
    smsc: Smsc, answer: dict[str, int], permanent: bool, dead: bool, code: str, wait: timedelta | None
) -> None:
    """The rest is tried again, after a breath where the SMSC is throttling; the bind lives on."""
    async with smpp(smsc) as channel:
        smsc.script(answer)
        error = await failure(channel)
        await channel.send(SMS)
    assert (error.permanent, error.dead_address, error.code) == (permanent, dead, code)
    assert (error.doubtful, error.retry_after) == (False, wait)
    assert len(smsc.all("bind")) == 1


async def test_a_throttled_piece_waits_where_it_is(smsc: Smsc) -> None:
    """Else a text of more pieces than the SMSC takes at once would begin anew each time, for ever."""
    async with smpp(smsc) as channel:
        smsc.script({}, {"status": THROTTLED})
        await channel.send(replace(SMS, text="好" * 100))
    assert "".join(smsc.texts) == "好" * 100
    assert len(smsc.submitted) == 3


@pytest.mark.parametrize("answer", [{"silent": True}, {"drop": True}])
async def test_an_sms_without_an_answer_is_doubtful(smsc: Smsc, answer: dict[str, bool]) -> None:
    """The SMSC may have taken it: a time-out or a lost connection tells nothing. The next one goes."""
    async with smpp(smsc, {"timeout": "0.3"}) as channel:
        smsc.script(answer)
        error = await failure(channel)
        assert (error.permanent, error.doubtful, error.code) == (False, True, "no_answer")
        await channel.send(SMS)
    assert len(smsc.submitted) == 2
    assert len(smsc.all("bind")) == (2 if "drop" in answer else 1)


async def test_a_bind_may_be_encrypted(smsc: Smsc) -> None:
    """With a certificate that is vouched for, and with no other."""
    encrypted = {"tls": "yes", "port": str(smsc.tls_port)}
    async with smpp(smsc, {**encrypted, "ca_file": str(TEST_AUTHORITY)}) as channel:
        await channel.send(SMS)
    async with smpp(smsc, encrypted) as channel:
        assert (await failure(channel)).code == "unreachable"
    async with smpp(smsc, {**encrypted, "ca_file": "/nowhere.pem"}) as channel:
        assert (await failure(channel)).code == "not_configured"
    assert smsc.texts == [SMS.text]


async def test_everyone_who_waits_is_told_of_a_lost_connection(smsc: Smsc) -> None:
    """None of ten messages in flight counts as sent or refused, and none leaves a second time by itself."""
    async with smpp(smsc) as channel:
        smsc.script(*[{"silent": True}] * 9, {"drop": True})
        errors = await asyncio.gather(*(channel.send(SMS) for _ in range(10)), return_exceptions=True)
        assert [error.doubtful for error in errors if isinstance(error, DeliveryError)] == [True] * 10
        await channel.send(SMS)
    assert len(smsc.submitted) == 11


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"password": "wrong"}, "bad_login"),
        ({"system_id": "nobody"}, "bad_login"),
        ({"port": "1"}, "unreachable"),
    ],
)
async def test_no_bind_is_no_doubt(smsc: Smsc, settings: dict[str, str], code: str) -> None:
    """Nothing has left yet; and a thousand messages do not knock a thousand times."""
    async with smpp(smsc, settings) as channel:
        errors = [await failure(channel) for _ in range(5)]
    assert {(error.permanent, error.doubtful, error.code) for error in errors} == {(False, False, code)}
    assert len(smsc.all("bind")) == (1 if code == "bad_login" else 0)


@pytest.mark.parametrize("order", ["hang_up", "unbind"])
async def test_a_bind_that_the_smsc_ends_is_made_again(smsc: Smsc, order: str) -> None:
    """At the next message at the latest; with receipts to hear, by itself."""
    told = Told()
    async with smpp(smsc, told=told) as channel:
        await channel.send(SMS)
        smsc.order(**{order: True})
        await smsc.heard("close")
        await smsc.heard("bind", 2)
        smsc.receipt("a0", "DELIVRD")
        await asyncio.wait_for(told.news.wait(), 5)
    assert len(smsc.submitted) == 1


async def test_the_other_side_is_asked_whether_it_is_there(smsc: Smsc) -> None:
    """A connection without a word is given up, and the next message binds anew."""
    async with smpp(smsc, {"enquire": "0.1", "timeout": "0.3"}) as channel:
        await channel.send(SMS)
        await smsc.heard("enquire_link", 2)
        smsc.order(unknown=True)
        assert (await smsc.heard("generic_nack"))["status"] == 0x03
        smsc.order(deaf=True)
        await smsc.heard("close")
        assert (await failure(channel)).code == "unreachable"


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("DELIVRD", DeliveryState.DELIVERED),
        ("UNDELIV", DeliveryState.UNDELIVERED),
        ("ACCEPTD", DeliveryState.PENDING),
        ("WHATEVER", DeliveryState.UNKNOWN),
    ],
)
async def test_a_receipt_finds_its_message(smsc: Smsc, stat: str, state: DeliveryState) -> None:
    """It is asked for, told under the id of the hand-over, and answered."""
    told = Told()
    async with smpp(smsc, told=told) as channel:
        receipt = await channel.send(replace(SMS, text="好" * 100))
        smsc.receipt(smsc.submitted[-1]["id"], stat)
        await asyncio.wait_for(told.news.wait(), 5)
        assert (await smsc.heard("deliver_sm_resp"))["status"] == 0
    assert told.states == [(receipt.provider_id, state)]
    assert [sms["registered_delivery"] for sms in smsc.submitted] == [0, 1]
    assert channel.abilities.receipts


async def test_receipts_are_heard_without_a_message_to_send(smsc: Smsc) -> None:
    """What an earlier process handed over is reported to this one, once it listens."""
    told = Told()
    async with smpp(smsc, told=told) as channel:
        await channel.listen("lumi")
        smsc.receipt("a0", "DELIVRD")
        await asyncio.wait_for(told.news.wait(), 5)
    assert [state for _, state in told.states] == [DeliveryState.DELIVERED]


async def test_a_receipt_may_name_its_message_in_another_base(smsc: Smsc) -> None:
    """Answered as `a0`, told as 160: one id here."""
    told = Told()
    async with smpp(smsc, {"receipt_ids": "decimal"}, told) as channel:
        receipt = await channel.send(SMS)
        assert smsc.submitted[0]["id"] == "a0"
        smsc.receipt("0160", "DELIVRD")
        await asyncio.wait_for(told.news.wait(), 5)
    assert told.states == [(receipt.provider_id, DeliveryState.DELIVERED)]


async def test_a_receipt_that_could_not_be_kept_is_not_taken(smsc: Smsc) -> None:
    """The SMSC hears a temporary error, and says it again; an SMS from a phone is taken and left alone."""
    told = Told()
    told.refuse = 1
    async with smpp(smsc, told=told) as channel:
        await channel.send(SMS)
        smsc.receipt("a0", "DELIVRD")
        assert (await smsc.heard("deliver_sm_resp"))["status"] == 0x64
        smsc.receipt("a0", "DELIVRD")
        smsc.order(deliver={"short_message": {"message": "id:a0 stat:UNDELIV, ha!"}})
        assert (await smsc.heard("deliver_sm_resp", 3))["status"] == 0
    assert [state for _, state in told.states] == [DeliveryState.DELIVERED]


@pytest.mark.parametrize("to", ["0912345678", "+886", ""])
async def test_a_number_that_is_none_binds_to_nobody(smsc: Smsc, to: str) -> None:
    """Only E.164 is a number here; an empty text is none either."""
    async with smpp(smsc) as channel:
        error = await failure(channel, replace(SMS, to=to))
        empty = await failure(channel, replace(SMS, text=""))
    assert (error.dead_address, error.code) == (True, "bad_number")
    assert (empty.permanent, empty.dead_address) == (True, False)
    assert smsc.all("bind") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "x"),
        ("long", "sar"),
        ("source", "Lumi é"),
        ("source_ton", "300"),
        ("password", "é"),
        ("host", ""),
    ],
)
async def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    """It is mended and the message goes: nothing is final."""
    environment = {"CARILLON_SMPP_HOST": "127.0.0.1", "CARILLON_SMPP_SYSTEM_ID": "carillon"}
    channel = SmppChannel(Credentials({**environment, f"CARILLON_SMPP_{name.upper()}": value}))
    error = await failure(channel, replace(SMS, text="好" * 100))
    assert (error.permanent, error.code) == (False, "not_configured")
    assert f"CARILLON_SMPP_{name.upper()}" in error.reason
