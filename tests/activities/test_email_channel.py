"""The smtp channel against a mail server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Attachment, Credentials, DeliveryError, Message
from channels.mail import compose, mailbox, message_id
from channels.mail_headers import one_line
from channels.smtp import SmtpChannel
from tests.providers import TEST_AUTHORITY, MailSink, server_tls
from tests.requirements import requirement

MAIL = Message(
    key="booking:lumi:b1/pre_visit/participant",
    merchant_id="lumi",
    to="ming@example.com",
    to_name="王小明",
    subject="預約提醒:明天 15:00",
    text="王小明,您好:\n明天見!",
    html="<p>王小明,您好:<img src='cid:voucher'></p>",
    sender_name="光 Studio",
    reply_to="hello@lumi.example.com",
)


@asynccontextmanager
async def smtp(environment: Mapping[str, str], **more: str) -> AsyncIterator[SmtpChannel]:
    channel = SmtpChannel(
        Credentials({**environment, **{f"CARILLON_SMTP_{k.upper()}": v for k, v in more.items()}})
    )
    try:
        yield channel
    finally:
        await channel.close()


async def failure(channel: SmtpChannel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(message)
    return caught.value


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return cast(str, body.get_content()).replace("\r\n", "\n").rstrip("\n")


@requirement("LOY-23")
async def test_a_mail_arrives_with_text_html_picture_and_calendar_file() -> None:
    """Formatted text with its plain twin, a picture shown in place, a calendar file attached unharmed."""
    picture = Attachment("voucher.png", "image/png", b"\x89PNG\r\n\x1a\n", content_id="voucher")
    calendar = "BEGIN:VCALENDAR\r\nSUMMARY:按摩 60 分\r\nEND:VCALENDAR\r\n".encode()
    invitation = Attachment("預約.ics", "text/calendar; method=REQUEST", calendar)
    async with MailSink() as sink, smtp(sink.environment, **{"from": "no-reply@lumi.example.com"}) as channel:
        receipt = await channel.send(replace(MAIL, attachments=(picture, invitation)))
    (mail,) = sink.mails
    assert sink.recipients == ["ming@example.com"]
    assert mail["From"].addresses[0].display_name == "光 Studio"
    assert mail["From"].addresses[0].addr_spec == "no-reply@lumi.example.com"
    assert mail["To"].addresses[0].display_name == "王小明"
    assert mail["Reply-To"] == "hello@lumi.example.com"
    assert mail["Subject"] == MAIL.subject
    assert mail["Auto-Submitted"] == "auto-generated"
    assert abs(mail["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    assert mail["Message-ID"] == receipt.provider_id
    assert text_of(mail) == MAIL.text
    assert text_of(mail, "html") == MAIL.html
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "text/calendar",
    ]
    shown, attached = list(mail.walk())[-2:]
    assert (shown["Content-ID"], shown.get_content_disposition()) == ("<voucher>", "inline")
    assert dict(attached["Content-Type"].params) == {"method": "REQUEST", "charset": "utf-8"}
    assert attached.get_filename() == "預約.ics"
    assert attached.get_payload(decode=True) == calendar


async def test_the_same_notice_is_the_same_message_id() -> None:
    """A notice handed over twice carries one Message-ID, and another notice another."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        for message in (MAIL, replace(MAIL, text="corrected"), replace(MAIL, key="another")):
            await channel.send(message)
    first, again, other = [mail["Message-ID"] for mail in sink.mails]
    assert first == again == message_id(MAIL.key, "localhost")
    assert other != first


async def test_only_a_message_that_may_be_declined_says_how() -> None:
    """List-Unsubscribe, with one click, stands where an address is given and nowhere else, however long."""
    url = "https://lumi.example.com/u/" + "a" * 400 + "?c=1&m=2"
    async with MailSink() as sink, smtp(sink.environment) as channel:
        await channel.send(MAIL)
        await channel.send(replace(MAIL, unsubscribe_url=url))
    plain, promotional = sink.mails
    assert "List-Unsubscribe" not in plain
    assert "List-Unsubscribe-Post" not in plain
    assert promotional["List-Unsubscribe"] == f"<{url}>"
    assert promotional["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_a_long_unsubscribe_address_goes_out_unfolded() -> None:
    """Receivers look for the bare address: it is neither cut nor encoded."""
    url = "https://lumi.example.com/u/" + "a" * 400
    message = replace(MAIL, unsubscribe_url=url)
    raw = compose(message, mailbox("a@b.tw"), mailbox(MAIL.to), datetime.now(UTC)).as_bytes()
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in raw


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Reply-To"]
HEADERS += ["MIME-Version", "Content-Type"]

names = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
    | st.text(st.sampled_from('abc 王,;:"\\<>@()[]=?_\r\n\t\x00\u2028é'), max_size=120)
    | st.lists(st.sampled_from(["abc", ",", "eve@x.tw,", "<eve@x.tw>", '"', "=?utf-8?q?a=0D=0AX:_y?="])).map(
        " ".join
    )
)


@settings(max_examples=300, deadline=None)
@given(names, names, names)
def test_no_name_or_subject_adds_a_header_or_a_recipient(subject: str, to_name: str, sender: str) -> None:
    """Whatever customers call themselves, the mail has its own headers and one recipient."""
    message = replace(MAIL, subject=subject, to_name=to_name, sender_name=sender)
    mail = compose(message, mailbox("no-reply@lumi.tw"), mailbox(MAIL.to), datetime.now(UTC))
    raw = mail.as_bytes()
    head = raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    assert [line.split(b":", 1)[0].decode() for line in head if not line.startswith((b" ", b"\t"))] == HEADERS
    assert max(map(len, head)) < 120
    read = message_from_bytes(raw, policy=default)
    assert [a.addr_spec for a in read["To"].addresses] == [MAIL.to]
    assert [a.addr_spec for a in read["From"].addresses] == ["no-reply@lumi.tw"]
    assert read["Subject"] == one_line(subject)


@pytest.mark.parametrize(
    "address",
    ["ming@example.com\r\nBcc: eve@example.com", "ming@example.com, eve@example.com", "ming", "", "a b@c.tw"],
)
async def test_what_is_not_one_address_is_refused_before_any_connection(address: str) -> None:
    """A broken recipient is permanent and reaches no server."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        error = await failure(channel, replace(MAIL, to=address))
    assert (error.permanent, error.code, sink.connections) == (True, "bad_address", 0)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("reply_to", "x@y.tw\r\nBcc: eve@example.com", "bad_reply_to"),
        ("unsubscribe_url", "https://x.tw/>\r\nBcc: eve@example.com", "bad_unsubscribe"),
        ("unsubscribe_url", "javascript:alert(1)", "bad_unsubscribe"),
    ],
)
async def test_a_broken_address_of_the_merchant_can_be_mended(field: str, value: str, code: str) -> None:
    """The merchant's own mistake is not the recipient's: the message may go once it is mended."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        error = await failure(channel, replace(MAIL, **{field: value}))  # type: ignore[arg-type]
    assert (error.permanent, error.code, sink.connections) == (False, code, 0)


async def test_addresses_in_other_scripts_arrive() -> None:
    """A Chinese domain goes as IDNA; a Chinese mailbox as SMTPUTF8."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        await channel.send(replace(MAIL, to="ming@例子.tw"))
        await channel.send(replace(MAIL, to="小明@例子.tw"))
    assert sink.recipients == ["ming@xn--fsqu00a.tw", "小明@xn--fsqu00a.tw"]


async def test_a_server_without_smtputf8_refuses_a_chinese_mailbox_for_good() -> None:
    """Such an address can never be reached through this server."""
    async with MailSink(utf8=False) as sink, smtp(sink.environment) as channel:
        error = await failure(channel, replace(MAIL, to="小明@例子.tw"))
        await channel.send(MAIL)
    assert (error.permanent, error.code) == (True, "no_smtputf8")
    assert len(sink.mails) == 1


@pytest.mark.parametrize(
    ("reply", "permanent", "code"),
    [
        ("550 5.1.1 no such user", True, "550"),
        ("552 5.2.2 mailbox full", True, "552"),
        ("451 4.7.1 greylisted, come back", False, "451"),
        ("450 4.2.1 mailbox busy", False, "450"),
        # Our own standing: the mailbox is well, and the address must not be given up for it.
        ("554 5.7.1 client host is on a block list", False, "554"),
        ("530 5.7.0 authentication required", False, "bad_login"),
    ],
)
async def test_a_refused_recipient_is_final_only_where_it_is_about_the_recipient(
    reply: str, permanent: bool, code: str
) -> None:
    """5xx is permanent and 4xx not; refusals for who we are can be mended. None is doubtful."""
    async with MailSink(refuse=lambda _: reply) as sink, smtp(sink.environment) as channel:
        error = await failure(channel, MAIL)
        sink.refuse = None
        await channel.send(MAIL)
    assert (error.permanent, error.doubtful, error.code) == (permanent, False, code)
    assert (len(sink.mails), sink.connections) == (1, 1)  # the connection outlives a refusal


@pytest.mark.parametrize(
    ("reply", "dead"),
    [
        ("550 5.1.1 no such user", True),
        ("550 no such user", True),
        ("550 5.2.1 this mailbox is closed", True),
        ("553 5.1.3 that is no address", True),
        ("551 5.1.6 she has moved", True),
        ("550 5.2.2 mailbox full", False),
        ("552 5.2.2 mailbox full", False),
        ("550 5.1.8 your own address is none", False),
        ("550 5.7.1 client host is on a block list", False),
        ("550 5.4.4 no way leads there", False),
        ("450 4.2.1 mailbox busy", False),
    ],
)
async def test_a_mailbox_is_dead_only_where_the_server_says_so(reply: str, dead: bool) -> None:
    """There is no such mailbox; a full one, a wrong sender or a block list is another thing."""
    async with MailSink(refuse=lambda _: reply) as sink, smtp(sink.environment) as channel:
        assert (await failure(channel, MAIL)).dead_address is dead


async def test_refused_content_is_final() -> None:
    """The server's no to the mail itself is as good as one to the recipient."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        sink.reply = "554 5.6.0 message rejected"
        error = await failure(channel, MAIL)
    assert (error.permanent, error.doubtful, error.code) == (True, False, "554")
    assert not error.dead_address


async def test_every_merchant_logs_in_with_its_own_account_over_tls() -> None:
    """STARTTLS against a private authority, and the password of the merchant whose message it is."""
    async with MailSink(tls=server_tls(), login=("lumi", "geheim")) as sink:
        environment = {**sink.environment, "CARILLON_SMTP_USERNAME": "someone", "CARILLON_SMTP_PASSWORD": "x"}
        environment |= {
            "CARILLON_SMTP_USERNAME__LUMI": "lumi",
            "CARILLON_SMTP_PASSWORD__LUMI": "geheim",
        }
        async with smtp(environment, starttls="always", ca_file=str(TEST_AUTHORITY)) as channel:
            await channel.send(MAIL)
            error = await failure(channel, replace(MAIL, merchant_id="other"))
    assert len(sink.mails) == 1
    assert (error.permanent, error.doubtful, error.code) == (False, False, "bad_login")


async def test_tls_from_the_first_byte() -> None:
    """Port 465 style."""
    async with (
        MailSink(tls=server_tls(), implicit=True) as sink,
        smtp(sink.environment, tls="yes", ca_file=str(TEST_AUTHORITY)) as channel,
    ):
        await channel.send(MAIL)
    assert len(sink.mails) == 1


@pytest.mark.parametrize("more", [{"starttls": "auto"}, {"tls": "yes"}])
async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(more: dict[str, str]) -> None:
    """Where the server speaks TLS it has to prove who it is, even where TLS was optional."""
    async with (
        MailSink(tls=server_tls(), implicit="tls" in more) as sink,
        smtp(sink.environment, **more) as channel,
    ):
        error = await failure(channel, MAIL)
    assert (error.permanent, error.doubtful, error.code, sink.mails) == (False, False, "unreachable", [])
    assert "certificate" in error.reason.lower()


async def test_a_server_without_tls_gets_no_mail_where_tls_is_wanted() -> None:
    """`always` means it."""
    async with MailSink() as sink, smtp(sink.environment, starttls="always") as channel:
        error = await failure(channel, MAIL)
    assert (error.permanent, sink.mails) == (False, [])


async def test_a_mail_whose_answer_was_lost_is_doubtful() -> None:
    """The server took the mail and went away: it may have been sent, and is not sent again here."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        await channel.send(MAIL)
        sink.lose = 1
        error = await failure(channel, MAIL)
    assert (error.permanent, error.doubtful) == (False, True)
    assert len(sink.mails) == 2


async def test_a_mail_that_was_not_answered_in_time_is_doubtful() -> None:
    """The same for a server that keeps silent."""
    async with MailSink() as sink, smtp(sink.environment, timeout="0.2") as channel:
        sink.delay = 0.6
        error = await failure(channel, MAIL)
        await asyncio.sleep(0.5)
    assert (error.permanent, error.doubtful) == (False, True)


async def test_a_server_that_is_down_is_worth_another_attempt(unused_tcp_port: int) -> None:
    """Connection refused: nothing was sent, nothing is final."""
    async with smtp({}, port=str(unused_tcp_port)) as channel:
        error = await failure(channel, MAIL)
    assert (error.permanent, error.doubtful, error.code) == (False, False, "unreachable")


async def test_a_connection_that_the_server_closed_costs_no_mail_and_no_second_one() -> None:
    """An idle connection that is gone is replaced, and the mail arrives once."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        await channel.send(MAIL)
        await sink.hang_up()
        await channel.send(replace(MAIL, key="second"))
    assert len(sink.mails) == 2
    assert sink.connections == 2


@pytest.mark.parametrize("goodbye", [b"421 4.4.2 idle too long\r\n", b""])
async def test_a_goodbye_to_the_next_mail_is_not_a_failure(goodbye: bytes) -> None:
    """A server that hangs up only when the next mail begins: that mail goes over a new connection."""
    commands: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        mails = 0
        while line := await reader.readline():
            commands.append(line.strip())
            if line.startswith(b"MAIL") and mails:
                writer.write(goodbye)
                break
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                mails += 1
            writer.write(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 ok\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, smtp({}, port=str(port)) as channel:
        await channel.send(MAIL)
        await channel.send(MAIL)
    assert [c.split()[0] for c in commands].count(b"DATA") == 2


async def test_two_hundred_mails_at_once_share_a_few_connections() -> None:
    """Connections are kept and bounded, and nothing is lost or sent twice."""
    async with MailSink() as sink, smtp(sink.environment, connections="5") as channel:
        keys = [f"notice-{n}" for n in range(200)]
        await asyncio.gather(*(channel.send(replace(MAIL, key=key)) for key in keys))
    assert sink.connections == 5
    assert sorted(m["Message-ID"] for m in sink.mails) == sorted(message_id(k, "localhost") for k in keys)


async def test_a_refused_sender_is_not_tried_on_another_connection() -> None:
    """Only a connection that is gone is replaced; a refusal stands, and can be mended."""
    async with MailSink() as sink, smtp(sink.environment) as channel:
        await channel.send(MAIL)
        sink.login = ("lumi", "geheim")
        error = await failure(channel, MAIL)
    assert (error.permanent, error.doubtful, error.code) == (False, False, "bad_login")
    assert sink.connections == 1


async def test_a_cancelled_mail_leaves_no_half_used_connection() -> None:
    """An activity that is cancelled in the middle must not hand its connection to the next mail."""
    async with MailSink() as sink, smtp(sink.environment, connections="1") as channel:
        await channel.send(MAIL)
        sink.delay = 0.3
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.send(MAIL), 0.1)
        sink.delay = 0
        await channel.send(replace(MAIL, key="next"))
    assert sink.mails[-1]["Message-ID"] == message_id("next", "localhost")
    assert sink.connections == 2


async def test_an_empty_setting_is_none() -> None:
    """`CARILLON_SMTP_FROM=` in a compose file means the default."""
    async with MailSink() as sink, smtp(sink.environment, timeout="", starttls="", **{"from": ""}) as channel:
        await channel.send(MAIL)
    assert sink.mails[0]["From"].addresses[0].addr_spec == "no-reply@localhost"


@pytest.mark.parametrize(
    "more",
    [
        {"port": "smtp"},
        {"timeout": "0"},
        {"starttls": "maybe"},
        {"tls": "perhaps"},
        {"from": "nobody"},
        {"ca_file": "/nowhere.pem"},
    ],
)
async def test_a_wrong_setting_is_named(more: dict[str, str]) -> None:
    """The error says which variable to mend, and the message waits for it."""
    async with smtp({}, **more) as channel:
        error = await failure(channel, MAIL)
    assert f"CARILLON_SMTP_{next(iter(more)).upper()}" in error.reason
    assert (error.permanent, error.code) == (False, "not_configured")


async def test_a_password_is_not_sent_in_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login without TLS stays on this machine unless the operator says `never`."""
    async with MailSink(login=("lumi", "geheim")) as sink:
        login = {**sink.environment, "CARILLON_SMTP_USERNAME": "lumi", "CARILLON_SMTP_PASSWORD": "geheim"}
        async with smtp(login) as channel:
            await channel.send(MAIL)
        monkeypatch.setattr("channels.smtp_pool.Server.local", False)
        async with smtp(login) as channel:
            error = await failure(channel, MAIL)
        async with smtp(login, starttls="never") as channel:
            await channel.send(MAIL)
    assert (error.permanent, error.code, len(sink.mails)) == (False, "no_starttls", 2)
