"""Mailpit, as a second opinion on what arrives: it parses messages with another implementation than ours."""

import asyncio
import email.message

import aiosmtplib
import pytest

from kit import certs
from kit import mailpit as mailpit_kit


def _client(server: mailpit_kit.Mailpit, ca: certs.Authority, *, start_tls: bool) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname="client.test",
        start_tls=start_tls,
        tls_context=ca.client_context(),
    )


async def test_message_is_seen_through_the_api(mailpit: mailpit_kit.Mailpit, ca: certs.Authority) -> None:
    """What was delivered over STARTTLS and AUTH can be listed, read and fetched as it came."""
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "日本語"
    message["Message-ID"] = "<seen@example.org>"
    message.set_content("text")
    client = _client(mailpit, ca, start_tls=True)
    await client.connect()
    await client.login(mailpit.user, mailpit.password)
    await client.send_message(message)
    await client.quit()
    listed = await asyncio.to_thread(mailpit.messages)
    (identifier,) = [each["ID"] for each in listed if each["MessageID"] == "seen@example.org"]
    assert (await asyncio.to_thread(mailpit.message, identifier))["Subject"] == "日本語"
    assert b"Message-ID: <seen@example.org>" in await asyncio.to_thread(mailpit.raw, identifier)


async def test_unprotected_and_anonymous_mail_is_refused(mailpit: mailpit_kit.Mailpit, ca: certs.Authority) -> None:
    """Without STARTTLS, or without AUTH after it, MAIL is refused."""
    for start_tls in (False, True):
        client = _client(mailpit, ca, start_tls=start_tls)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPResponseException, match="530"):
            await client.mail("a@example.org")
        await client.quit()
