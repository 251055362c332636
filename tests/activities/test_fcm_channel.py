"""Push through FCM, against a fake that checks what the service account signed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from channels.base import Credentials, DeliveryError, Message
from channels.fcm import FcmChannel, payload
from tests.providers import Answer, FakeFcm, http_error, lost
from tests.requirements import requirement

PUSH = Message(
    key="coupon:lumi:c1/issued/m1",
    merchant_id="lumi",
    to="dQw4w9WgXcQ:APA91bH",
    subject="Lumi Studio",
    text="您的優惠券已送達",
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def fcm(fake: FakeFcm, more: Mapping[str, str] | None = None) -> AsyncIterator[FcmChannel]:
    environment = {**fake.environment, **{f"CARILLON_FCM_{k.upper()}": v for k, v in (more or {}).items()}}
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        yield FcmChannel(Credentials(environment), http)


async def failure(channel: FcmChannel) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(PUSH)
    return caught.value


@requirement("LOY-24")
@pytest.mark.parametrize(
    ("text", "image", "shown"),
    [
        ("Hi", "", {"title": "Lumi Studio", "body": "Hi"}),
        ("", "https://x.tw/a.png", {"title": "Lumi Studio", "image": "https://x.tw/a.png"}),
        ("Hi", "https://x.tw/a.png", {"title": "Lumi Studio", "body": "Hi", "image": "https://x.tw/a.png"}),
    ],
)
async def test_a_push_shows_a_text_or_an_image_or_both(
    tmp_path: Path, text: str, image: str, shown: dict[str, str]
) -> None:
    """On Android, on the web, and on iOS, where the app must be woken to fetch the picture."""
    async with FakeFcm(tmp_path) as fake, fcm(fake) as channel:
        receipt = await channel.send(replace(PUSH, text=text, image_url=image))
    (message,) = fake.messages
    assert (message["token"], message["notification"]) == (PUSH.to, shown)
    assert ("payload" in message["apns"]) == bool(image)
    assert receipt.provider_id == "projects/carillon-test/messages/1"


def test_a_push_lives_no_longer_than_its_meaning_and_takes_the_place_of_its_copy() -> None:
    """The time to live in each platform's words, at most 28 days; the same tag for the same notice."""
    hour = payload(replace(PUSH, valid_for=timedelta(hours=1)), NOW)
    assert hour["android"]["ttl"] == "3600s"
    assert hour["apns"]["headers"]["apns-expiration"] == str(int(NOW.timestamp()) + 3600)
    assert hour["webpush"]["headers"] == {"TTL": "3600"}
    assert payload(replace(PUSH, valid_for=timedelta(days=90)), NOW)["android"]["ttl"] == "2419200s"
    plain, other = payload(PUSH, NOW), payload(replace(PUSH, key="another"), NOW)
    assert "ttl" not in plain["android"]
    assert plain["apns"]["headers"] == {"apns-collapse-id": plain["android"]["notification"]["tag"]}
    assert plain["android"]["notification"] != other["android"]["notification"]


async def test_one_login_serves_many_until_google_takes_it_no_longer(tmp_path: Path) -> None:
    """A token is fetched once, however many ask at once; after a 401 the next message fetches another."""
    async with FakeFcm(tmp_path) as fake, fcm(fake) as channel:
        await asyncio.gather(*(channel.send(PUSH) for _ in range(20)))
        assert fake.tokens == ["ya29.0"]
        fake.revoked.add("ya29.0")
        error = await failure(channel)
        assert (error.permanent, error.doubtful, error.code) == (False, False, "UNAUTHENTICATED")
        await channel.send(PUSH)
    assert fake.tokens == ["ya29.0", "ya29.1"]
    assert len(fake.messages) == 21


@pytest.mark.parametrize(
    ("answer", "permanent", "dead", "code", "wait"),
    [
        (FakeFcm.refusal(404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found."),
         True, True, "UNREGISTERED", None),
        (FakeFcm.refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT",
                         "The registration token is not a valid FCM registration token"),
         True, True, "INVALID_ARGUMENT", None),
        (FakeFcm.refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Invalid value", field="message.token"),
         True, True, "INVALID_ARGUMENT", None),
        (FakeFcm.refusal(400, "INVALID_ARGUMENT", "", "Invalid value", field="message.notification.image"),
         True, False, "INVALID_ARGUMENT", None),
        (FakeFcm.refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
         False, False, "SENDER_ID_MISMATCH", None),
        (FakeFcm.refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
         False, False, "QUOTA_EXCEEDED", timedelta(minutes=1)),
        (FakeFcm.refusal(404, "NOT_FOUND", "", "no such project"), False, False, "NOT_FOUND", None),
        (FakeFcm.refusal(500, "INTERNAL", "INTERNAL"), False, False, "INTERNAL", None),
        (http_error(503, retry_after="30", body='{"error": {"status": "UNAVAILABLE"}}'),
         False, False, "UNAVAILABLE", timedelta(seconds=30)),
        (http_error(403), False, False, "http_403", None),
    ],
)  # fmt: skip
async def test_a_code_of_fcm_is_final_only_where_it_is_about_the_token_or_the_message(
    tmp_path: Path, answer: Answer, permanent: bool, dead: bool, code: str, wait: timedelta | None
) -> None:
    """The token of an app that is gone is dead; what Google or the merchant can mend is tried again."""
    async with FakeFcm(tmp_path) as fake, fcm(fake) as channel:
        await channel.send(PUSH)
        fake.script(answer)
        error = await failure(channel)
    assert (error.permanent, error.dead_address, error.code) == (permanent, dead, code)
    assert (error.doubtful, error.retry_after) == (code == "INTERNAL", wait)


async def test_a_push_without_an_answer_is_doubtful_and_no_secret_is_told(tmp_path: Path) -> None:
    """FCM may have taken it; what it repeats of the token or the text is blotted out."""
    async with FakeFcm(tmp_path) as fake, fcm(fake) as channel:
        await channel.send(PUSH)
        fake.script(lost(), FakeFcm.refusal(400, "FAILED", "", f"{PUSH.to} {PUSH.text} ya29.0"))
        error, other = await failure(channel), await failure(channel)
    assert (error.permanent, error.doubtful, error.code) == (False, True, "no_answer")
    assert not any(secret in other.reason for secret in (PUSH.to, PUSH.text, "ya29.0"))


async def test_no_login_is_no_doubt(tmp_path: Path) -> None:
    """A file that is none, a service account that Google refuses, a Google out of reach: nothing has left."""
    async with FakeFcm(tmp_path) as fake:
        async with fcm(fake, {"credentials": str(tmp_path / "none.json")}) as channel:
            assert (await failure(channel)).code == "not_configured"
        async with fcm(fake) as channel:
            fake.script(http_error(400, body=json.dumps({"error": "invalid_grant"})))
            refused = await failure(channel)
            await channel.send(PUSH)
    async with FakeFcm(tmp_path) as gone, fcm(gone) as channel:
        assert gone._server is not None
        gone._server.close()
        unreachable = await failure(channel)
    assert (refused.permanent, refused.doubtful, refused.code) == (False, False, "bad_login")
    assert (unreachable.doubtful, unreachable.code) == (False, "unreachable")
