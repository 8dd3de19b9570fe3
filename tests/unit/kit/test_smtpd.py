"""The test server keeps its word: it is a proper server by default, and exactly as bad as its script."""

import asyncio
import base64
import email.message
import pathlib
import smtplib
import ssl
import time

import aiosmtplib
import pytest

from kit import certs, wait
from kit import smtpd as server_kit

_USERS = {"ann": "correct horse"}
_CONTENT = b"Message-ID: <1@example.org>\r\nSubject: x\r\n\r\n.leading dot\r\n\r\nend\r\n"


async def _connected(server: server_kit.Server, ca: certs.Authority, **options: object) -> aiosmtplib.SMTP:
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname="client.test",
        start_tls=server.options.tls is server_kit.Tls.STARTTLS,
        use_tls=server.options.tls is server_kit.Tls.IMPLICIT,
        tls_context=ca.client_context(),
        **options,  # type: ignore[arg-type] # Passed through.
    )
    await client.connect()
    return client


async def _raw(server: server_kit.Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(server.host, server.port)


@pytest.mark.parametrize("tls", list(server_kit.Tls))
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_message_arrives_as_it_was_sent(
    smtpd: server_kit.Starter, ca: certs.Authority, tls: server_kit.Tls, mechanism: str
) -> None:
    """A real client authenticates by each mechanism in each TLS mode, and its message is recorded whole."""
    server = await smtpd(tls=tls, users=_USERS, plaintext_auth=True, mechanisms=(mechanism,))
    client = await _connected(server, ca, username="ann", password=_USERS["ann"])
    await client.sendmail("a@example.org", ["b@example.org", "c@example.org"], _CONTENT)
    await client.quit()
    (message,) = server.messages
    assert (message.mail_from, message.rcpt_to) == ("a@example.org", ("b@example.org", "c@example.org"))
    assert message.data == _CONTENT
    assert message.message_id == "<1@example.org>"
    assert message.username == "ann"
    assert message.tls is (tls is not server_kit.Tls.DISABLED)
    (transcript,) = server.transcripts
    assert transcript.violations == []
    assert transcript.sni is None  # An address is no server name (RFC 6066 section 3).
    assert transcript.commands()[-1] == b"QUIT"
    (attempt,) = server.auth_attempts
    assert (attempt.mechanism, attempt.accepted) == (mechanism, True)


async def test_standard_library_client_understands_the_server(smtpd: server_kit.Starter) -> None:
    """Python's smtplib, another implementation, delivers a message over STARTTLS and AUTH."""
    server = await smtpd(tls=server_kit.Tls.STARTTLS, users=_USERS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    message = email.message.EmailMessage()
    message["Subject"] = "hello"
    message.set_content("text")

    def send() -> None:
        with smtplib.SMTP(server.host, server.port, local_hostname="client.test", timeout=10) as client:
            client.starttls(context=context)
            client.login("ann", _USERS["ann"])
            client.send_message(message, "a@example.org", ["b@example.org"])

    await asyncio.to_thread(send)
    assert server.messages[0].parsed()["Subject"] == "hello"


async def test_server_name_is_recorded(smtpd: server_kit.Starter, ca: certs.Authority) -> None:
    """The transcript holds the name that the client asked for in its handshake."""
    server = await smtpd(tls=server_kit.Tls.IMPLICIT)
    reader, writer = await asyncio.open_connection(
        server.host, server.port, ssl=ca.client_context(), server_hostname="localhost"
    )
    assert (await reader.readline()).startswith(b"220 ")
    writer.close()
    await writer.wait_closed()
    assert server.transcripts[0].sni == "localhost"


@pytest.mark.parametrize("tls", [server_kit.Tls.STARTTLS, server_kit.Tls.IMPLICIT])
async def test_untrusted_certificate_ends_the_connection(smtpd: server_kit.Starter, tls: server_kit.Tls) -> None:
    """A client that does not trust the certificate leaves, and the server has seen no AUTH."""
    server = await smtpd(tls=tls, users=_USERS)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname="client.test",
        start_tls=tls is server_kit.Tls.STARTTLS,
        use_tls=tls is server_kit.Tls.IMPLICIT,
        username="ann",
        password=_USERS["ann"],
    )
    # aiosmtplib wraps the handshake's error with implicit TLS, and lets it through with STARTTLS.
    with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
        await client.connect()
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=5, why="the connection has ended")
    assert server.auth_attempts == []


async def test_auth_is_refused_before_tls(smtpd: server_kit.Starter) -> None:
    """With STARTTLS on offer, credentials on the bare connection are refused with 538 and MAIL with 530."""
    server = await smtpd(tls=server_kit.Tls.STARTTLS, users=_USERS)
    reader, writer = await _raw(server)
    writer.write(b"EHLO x\r\n")
    await reader.readuntil(b"250 ")
    await reader.readline()
    writer.write(b"AUTH PLAIN AGFubgBjb3JyZWN0IGhvcnNl\r\n")
    assert (await reader.readline()).startswith(b"538 5.7.11 ")
    writer.write(b"MAIL FROM:<a@example.org>\r\n")
    assert (await reader.readline()).startswith(b"530 5.7.0 ")
    writer.close()
    await writer.wait_closed()


async def test_wrong_password_is_recorded_and_refused(smtpd: server_kit.Starter, ca: certs.Authority) -> None:
    """A wrong password gets a 535, and the attempt is kept."""
    server = await smtpd(users=_USERS, plaintext_auth=True, mechanisms=("PLAIN",))
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refusal:
        await _connected(server, ca, username="ann", password="wrong")
    assert refusal.value.code == 535
    assert [(attempt.password, attempt.accepted) for attempt in server.auth_attempts] == [("wrong", False)]


async def test_token_is_refused_by_a_challenge_first(smtpd: server_kit.Starter) -> None:
    """A good token is taken at once; a bad one is challenged, and refused once the client has answered with nothing."""
    server = await smtpd(
        tokens=lambda user, token: (user, token) == ("ann", "good"), mechanisms=("XOAUTH2",), plaintext_auth=True
    )
    for token, expected in (("good", [b"235 "]), ("bad", [b"334 ", b"535 "])):
        reader, writer = await _raw(server)
        await reader.readline()
        writer.write(b"EHLO client.test\r\n")
        while not (await reader.readline()).startswith(b"250 "):
            pass
        payload = base64.b64encode(f"user=ann\1auth=Bearer {token}\1\1".encode())
        writer.write(b"AUTH XOAUTH2 " + payload + b"\r\n")
        for number, code in enumerate(expected):
            if number:
                writer.write(b"\r\n")
            assert (await reader.readline()).startswith(code)
        writer.close()
        await writer.wait_closed()
    assert [(each.password, each.accepted) for each in server.auth_attempts] == [("good", True), ("bad", False)]


async def test_scripted_refusal_can_echo_the_credentials(smtpd: server_kit.Starter, ca: certs.Authority) -> None:
    """An error may quote the AUTH payload and the password, as some servers do."""
    server = await smtpd(users=_USERS, plaintext_auth=True, mechanisms=("PLAIN",))
    server.script.on("AUTH", "535 5.7.8 {payload} {password} is wrong")
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refusal:
        await _connected(server, ca, username="ann", password=_USERS["ann"])
    assert refusal.value.message == "5.7.8 AGFubgBjb3JyZWN0IGhvcnNl correct horse is wrong"
    assert server.auth_attempts[0].accepted is False


async def test_scripted_reply_refuses_one_recipient(smtpd: server_kit.Starter, ca: certs.Authority) -> None:
    """A rule for one recipient leaves the others alone, and is used up after its times."""
    server = await smtpd()
    server.script.on("rcpt to:<no@example.org>", "550 5.1.1 No such user", times=1)
    client = await _connected(server, ca)
    for _ in range(2):
        await client.sendmail("a@example.org", ["yes@example.org", "no@example.org"], _CONTENT)
    await client.quit()
    assert [message.rcpt_to for message in server.messages] == [
        ("yes@example.org",),
        ("yes@example.org", "no@example.org"),
    ]


@pytest.mark.parametrize(
    ("drop", "recorded"),
    [(server_kit.Drop.BEFORE, 0), (server_kit.Drop.INSTEAD, 1), (server_kit.Drop.AFTER, 1)],
)
async def test_connection_is_dropped_at_the_final_dot(
    smtpd: server_kit.Starter, ca: certs.Authority, drop: server_kit.Drop, recorded: int
) -> None:
    """After the dot the connection is lost with the message taken, or not, as the script says."""
    server = await smtpd()
    server.script.on(server_kit.DOT, server_kit.Behaviour(drop=drop))
    client = await _connected(server, ca)
    sending = client.sendmail("a@example.org", ["b@example.org"], _CONTENT)
    if drop is server_kit.Drop.AFTER:
        await sending
    else:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await sending
    client.close()
    assert len(server.messages) == recorded


async def test_connection_is_reset(smtpd: server_kit.Starter) -> None:
    """A drop is an end in good order, or RST where the script says so."""
    server = await smtpd()
    server.script.on("NOOP", server_kit.Behaviour(drop=server_kit.Drop.BEFORE), times=1)
    server.script.on("NOOP", server_kit.Behaviour(drop=server_kit.Drop.BEFORE, reset=True))
    reader, writer = await _raw(server)
    await reader.readline()
    writer.write(b"NOOP\r\n")
    assert await reader.read() == b""
    writer.close()
    reader, writer = await _raw(server)
    await reader.readline()
    writer.write(b"NOOP\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert server.script.applied == 2


async def test_message_that_is_not_read_stays_with_the_client(smtpd: server_kit.Starter) -> None:
    """At the first bytes of a message a narrow server says what it was told, unasked for too, and reads no more."""
    server = await smtpd(is_narrow=True)
    server.script.on(server_kit.BODY, server_kit.Behaviour(reply="552 5.3.4 No more", behind=b"250 Unasked\r\n"))
    reader, writer = await _raw(server)
    await reader.readline()
    writer.write(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
    await reader.readuntil(b"354 End with a dot on a line of its own\r\n")
    writer.transport.set_write_buffer_limits(high=0)
    writer.write(b"x" * 200_000)
    assert await reader.readuntil(b"Unasked\r\n") == b"552 5.3.4 No more\r\n250 Unasked\r\n"
    assert writer.transport.get_write_buffer_size() > 0
    writer.transport.abort()
    await server.drop_connections()


async def test_reply_drips_a_byte_at_a_time(smtpd: server_kit.Starter) -> None:
    """A dripped reply takes a pause for each of its bytes, and comes out whole."""
    server = await smtpd()
    server.script.on("NOOP", server_kit.Behaviour(reply="250 slow", drip_seconds=0.01))
    reader, writer = await _raw(server)
    await reader.readline()
    begin = time.monotonic()
    writer.write(b"NOOP\r\n")
    assert await reader.readline() == b"250 slow\r\n"
    assert time.monotonic() - begin >= 0.01 * len("250 slow\r")
    writer.close()
    await writer.wait_closed()


async def test_flood_waits_for_its_reader(smtpd: server_kit.Starter) -> None:
    """A flood of continuation lines precedes the reply, and ends with a client that hangs up."""
    server = await smtpd()
    server.script.on("EHLO", server_kit.Behaviour(flood_lines=200_000))
    reader, writer = await _raw(server)
    await reader.readline()
    writer.write(b"EHLO x\r\n")
    for _ in range(1000):
        assert (await reader.readline()).startswith(b"250-")
    writer.close()
    await writer.wait_closed()
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=5, why="the flood has ended")


async def test_greeting_may_be_no_smtp_at_all(smtpd: server_kit.Starter) -> None:
    """Bytes in a rule for the greeting are sent exactly as they are."""
    server = await smtpd()
    server.script.on(server_kit.GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\n\xff")
    reader, writer = await _raw(server)
    assert await reader.readexactly(29) == b"HTTP/1.1 400 Bad Request\r\n\r\n\xff"
    writer.close()
    await writer.wait_closed()


async def test_pipelined_transaction_is_answered_in_order(smtpd: server_kit.Starter) -> None:
    """Commands that come in one packet are answered in order, around one that is delayed."""
    server = await smtpd()
    server.script.on("RCPT TO:<slow@", server_kit.Behaviour(delay_seconds=0.05))
    reader, writer = await _raw(server)
    writer.write(b"EHLO x\r\n")
    await reader.readuntil(b"250 ")
    await reader.readline()
    writer.write(b"MAIL FROM:<a@x>\r\nRCPT TO:<slow@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
    replies = [(await reader.readline())[:9] for _ in range(4)]
    assert replies == [b"250 2.1.0", b"250 2.1.5", b"250 2.1.5", b"354 End w"]
    writer.write(b".\r\nQUIT\r\n")
    assert [(await reader.readline())[:3] for _ in range(2)] == [b"250", b"221"]
    writer.close()
    await writer.wait_closed()
    assert server.messages[0].rcpt_to == ("slow@x", "b@x")
    assert server.messages[0].data == b""
    assert server.transcripts[0].violations == []


async def test_violations_are_noted(smtpd: server_kit.Starter) -> None:
    """Pipelining that was not offered, bare line feeds and content before the 354 are written down."""
    server = await smtpd(extensions=frozenset())
    reader, writer = await _raw(server)
    writer.write(b"EHLO x\r\nMAIL FROM:<a@x>\n")
    await reader.readuntil(b"250 Sender ok\r\n")
    writer.write(b"RCPT TO:<b@x>\r\n")
    await reader.readline()
    writer.write(b"DATA\r\n\xe9\n\r\n.\r\n")
    await reader.readuntil(b"queued\r\n")
    writer.close()
    await writer.wait_closed()
    assert server.transcripts[0].violations == [
        "EHLO is followed by more, and PIPELINING is not offered",
        "a bare LF ends a line",
        "DATA is followed by more, and PIPELINING is not offered",
        "a bare CR or LF in a message",
        "8-bit content without BODY=8BITMIME",
    ]


async def test_too_many_connections_are_greeted_with_421(smtpd: server_kit.Starter) -> None:
    """A connection above the limit gets a 421 and is closed; the peak is remembered."""
    server = await smtpd(max_connections=1)
    first_reader, first = await _raw(server)
    assert (await first_reader.readline()).startswith(b"220 ")
    second_reader, second = await _raw(server)
    assert (await second_reader.read()).startswith(b"421 4.7.0 ")
    for writer in (first, second):
        writer.close()
        await writer.wait_closed()
    assert server.peak_connections == 2


async def test_server_returns_on_its_port(smtpd: server_kit.Starter) -> None:
    """A stopped server refuses connections and drops those it had; started again, its port is the same."""
    server = await smtpd()
    reader, writer = await _raw(server)
    await reader.readline()
    await server.stop()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await _raw(server)
    await server.start()
    reader, writer = await _raw(server)
    assert (await reader.readline()).startswith(b"220 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("tls", list(server_kit.Tls))
async def test_process_logs_a_message_before_it_is_acknowledged(
    tmp_path: pathlib.Path, ca: certs.Authority, tls: server_kit.Tls
) -> None:
    """Run as a process and killed right after its 250, the server has the message in its log."""
    process = server_kit.Process(
        tmp_path,
        tls=tls,
        leaf=None if tls is server_kit.Tls.DISABLED else ca.issue(file_name="process"),
        users=_USERS,
        script=[{"on": "RCPT TO:<no@", "reply": "550 5.1.1 no"}],
        arguments=("--plaintext-auth", "--without=PIPELINING"),
    )
    await asyncio.to_thread(process.start)
    try:
        client = aiosmtplib.SMTP(
            hostname=process.host,
            port=process.port,
            local_hostname="client.test",
            start_tls=tls is server_kit.Tls.STARTTLS,
            use_tls=tls is server_kit.Tls.IMPLICIT,
            tls_context=ca.client_context(),
            username="ann",
            password=_USERS["ann"],
        )
        await client.connect()
        await client.sendmail("a@example.org", ["no@example.org", "b@example.org"], _CONTENT)
    finally:
        process.kill()
    client.close()
    (message,) = process.messages()
    assert (message["message_id"], message["rcpt_to"]) == ("<1@example.org>", ["b@example.org"])
    said = [record["line"] for record in process.transcript()]
    assert "550 5.1.1 no\r\n" in said
    assert "250-PIPELINING\r\n" not in said


def test_process_that_cannot_start_quotes_its_log(tmp_path: pathlib.Path) -> None:
    """A mistake in its arguments is told with what the process said about it."""
    with pytest.raises(RuntimeError, match=r"(?s)smtpd ended with status 2; .*--no-such-argument"):
        server_kit.Process(tmp_path, arguments=("--no-such-argument",)).start()
