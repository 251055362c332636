"""A phone verified in a real world: one code, at the provider and nowhere else."""

import base64
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from activities.members import Enrolment, Members
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.phone_codes import CodeError, PhoneCodes
from channels.base import Abilities, DeliveryError, Message, Receipt
from commands.membership import Membership
from models.agenda import Status
from models.ids import member_workflow_id, phone_check_id
from models.member import Member
from models.merchant import SmsProvider, SmsSettings
from tests.providers import http_error
from tests.requirements import requirement
from tests.world import MERCHANT, World, a_world

PHONE = "+886912000111"
SHOP = replace(MERCHANT, phone_check=replace(MERCHANT.phone_check, digits=10))
"""Ten digits are in no log by chance."""


def now() -> datetime:
    """To the microsecond, as codes are timed."""
    return datetime.now(UTC)


def member(member_id: str = "m-1", **changes: Any) -> Member:
    return replace(Member(MERCHANT.id, member_id, "Ada Lin", now(), phone=PHONE, locale="en"), **changes)


def membership(world: World) -> Membership:
    return Membership(world.engine, world.carillon, MERCHANT)


def _codes(text: str) -> list[str]:
    return re.findall(r"\b[0-9]{6,10}\b", text)


def code_in(world: World) -> str:
    """The code that arrived last."""
    (code,) = _codes(world.twsms.accepted[-1].message)
    return code


@requirement("WACA-35")
async def test_membership_is_granted_when_the_code_is_given_back(world: World) -> None:
    """Until then the member is none; then its lifecycle begins."""
    way = membership(world)
    done = await way.register(Enrolment(member()), now())
    assert not done.granted
    assert done.code is not None
    assert done.code.status is Status.SENT
    assert done.code.ends_at is not None
    assert timedelta(minutes=9) < done.code.ends_at - now() < timedelta(minutes=11)
    assert await Members(world.engine).many(MERCHANT.id, ["m-1"]) == {}
    code = code_in(world)
    with pytest.raises(CodeError, match="that is not the code: 4 tries are left"):
        await way.verify("m-1", f"{(int(code) + 1) % 10**6:06}", now())
    assert not await world.carillon.runs(member_workflow_id(MERCHANT.id, "m-1"))
    assert (await way.verify("m-1", f" {code[:3]} {code[3:]} ", now())).granted
    assert await Members(world.engine).many(MERCHANT.id, ["m-1"])
    assert await world.carillon.runs(member_workflow_id(MERCHANT.id, "m-1"))
    assert (await way.verify("m-1", code, now())).granted, "asked again it is answered again"
    with pytest.raises(CodeError, match="the phone of m-1 was verified before, and this is not the code"):
        await way.verify("m-1", f"{(int(code) + 1) % 10**6:06}", now())


@requirement("WACA-35")
async def test_the_code_is_at_the_provider_and_nowhere_else(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a history, a log or the database: sent, failed and sent again, answered wrongly and rightly."""
    caplog.set_level(logging.DEBUG)
    await Merchants(world.engine).apply(SHOP, now())
    world.twsms.script(http_error(503))
    way = membership(world)
    await way.register(Enrolment(member()), now())
    codes = {code for request in world.twsms.requests for code in _codes(request.form["message"])}
    assert len(codes) == 2, "every attempt makes a code of its own"
    with pytest.raises(CodeError):
        await way.verify("m-1", "not a code", now())
    await way.verify("m-1", code_in(world), now())
    history = await world.handle(phone_check_id(MERCHANT.id, "m-1")).fetch_history()
    files = _files_of_the_database(tmp_path)
    rows = await MessageLog(world.engine).messages()
    assert "**********" in next(row["text"] for row in rows if row["kind"] == "phone_code")
    for code in codes:
        assert not [text for text in _texts(history.to_json_dict()) if code in text]
        assert not [record for record in caplog.records if code in record.getMessage()]
        assert not [content for content in files if code.encode() in content]
    assert len(caplog.records) > 50, "everything was listened to"


def _files_of_the_database(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.name.startswith("carillon.db")]


def _texts(document: Any) -> Iterator[str]:
    """All texts of a history, decoded where they are payloads."""
    if isinstance(document, dict):
        for value in document.values():
            yield from _texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value)
    elif isinstance(document, str):
        yield document
        try:
            yield base64.b64decode(document, validate=True).decode("latin-1")
        except ValueError:
            return
    else:
        yield json.dumps(document)


class Quoting:
    """A provider that quotes the message in its refusal."""

    provider = "twsms"
    abilities = Abilities()

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def send(self, message: Message) -> Receipt:
        self.messages.append(message.text)
        raise DeliveryError(f"spam: {message.text}", permanent=True)

    async def close(self) -> None:
        pass


@requirement("WACA-35")
async def test_a_provider_that_quotes_the_code_tells_it_to_nobody(
    temporal: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason of a failure is kept, without the code in it; what never left counts towards no limit."""
    caplog.set_level(logging.DEBUG)
    provider = Quoting()
    async with a_world(temporal, tmp_path, merchant=SHOP) as world:
        world.extra_channels = {"twsms": provider}
        async with world.worker():
            done = await membership(world).register(Enrolment(member()), now())
        assert done.code is not None
        assert done.code.status is Status.FAILED
        (code,) = _codes(provider.messages[0])
        (row,) = await MessageLog(world.engine).messages()
        assert row["reason"].startswith("spam: ********** is your")
        history = await world.handle(phone_check_id(MERCHANT.id, "m-1")).fetch_history()
        assert not [text for text in _texts(history.to_json_dict()) if code in text]
        assert not [record for record in caplog.records if code in record.getMessage()]
        await PhoneCodes(world.engine).may_send(MERCHANT, PHONE, now())


@requirement("WACA-35")
async def test_a_code_asked_for_again_waits_its_pause_and_replaces_the_one_before(
    temporal: Client, tmp_path: Path
) -> None:
    """The limits are told at once, in words with the moment."""
    quick = replace(MERCHANT, phone_check=replace(MERCHANT.phone_check, pause_seconds=0, sends=2))
    async with a_world(temporal, tmp_path, merchant=quick) as world, world.worker():
        way = Membership(world.engine, world.carillon, quick)
        await way.register(Enrolment(member()), now())
        first = code_in(world)
        await way.resend("m-1", now())
        with pytest.raises(
            CodeError, match=r"too many codes went to this phone: try again at .* \(Asia/Taipei\)"
        ):
            await way.resend("m-1", now())
        assert len(world.twsms.accepted) == 2
        if first != code_in(world):
            with pytest.raises(CodeError, match="that is not the code"):
                await way.verify("m-1", first, now())
        assert (await way.verify("m-1", code_in(world), now())).granted


@requirement("WACA-35")
async def test_who_is_a_member_verifies_a_phone_by_its_code_alone(world: World) -> None:
    """Neither without a code nor after the last try does any answer pass for the right one."""
    await Members(world.engine).upsert([member("m-4")], now())
    way = membership(world)
    with pytest.raises(CodeError, match="no code is open for m-4: ask for a new one"):
        await way.verify("m-4", "123456", now())
    await way.resend("m-4", now())
    wrong = f"{(int(code_in(world)) + 1) % 10**6:06}"
    for _ in range(MERCHANT.phone_check.attempts):
        with pytest.raises(CodeError, match="that is not the code"):
            await way.verify("m-4", wrong, now())
    with pytest.raises(CodeError, match="no code is open for m-4"):
        await way.verify("m-4", wrong, now())
    assert not await world.carillon.runs(member_workflow_id(MERCHANT.id, "m-4"))


@requirement("WACA-35")
async def test_a_code_that_nobody_waits_for_any_more_is_not_sent(temporal: Client, tmp_path: Path) -> None:
    """However long the worker was away: it is missed, says so, and shuts nobody out."""
    brief = replace(MERCHANT, phone_check=replace(MERCHANT.phone_check, minutes=0))
    async with a_world(temporal, tmp_path, merchant=brief) as world, world.worker():
        done = await Membership(world.engine, world.carillon, brief).register(Enrolment(member()), now())
        assert done.code is not None
        assert done.code.status is Status.MISSED
        assert "ask for a new one" in done.code.reason
        assert not world.twsms.accepted
        await PhoneCodes(world.engine).may_send(brief, PHONE, now())


@requirement("WACA-35")
async def test_without_a_phone_or_without_sms_a_member_is_one_at_once(world: World) -> None:
    """Nothing is sent: there is nothing to verify, or nothing to do it with."""
    done = await membership(world).register(Enrolment(member("m-2", phone="")), now())
    silent = replace(MERCHANT, id="silent", sms=SmsSettings(SmsProvider.OFF))
    await Merchants(world.engine).apply(silent, now())
    way = Membership(world.engine, world.carillon, silent)
    other = await way.register(Enrolment(member("m-3", merchant_id="silent")), now())
    assert done.granted
    assert other.granted
    assert not world.twsms.accepted
    with pytest.raises(CodeError, match="m-3 has no phone to verify, or silent sends no SMS"):
        await way.resend("m-3", now())
