"""Logging in over a session that is being opened: at most one AUTH, led by the server's prompts (R12)."""

import asyncio
import dataclasses
from typing import Final

import aiosmtplib

from mailtier.api import vocabulary
from mailtier.mail import classify, quoting, reasons, replies, sasl
from mailtier.sender.net import faults
from mailtier.sender.secrets import auth_states, credentials
from mailtier.sender.smtp.sessions import smtp_client

_STALE: Final = classify.Failure(
    scope=classify.Scope.CREDENTIALS,
    permanence=classify.Permanence.TRANSIENT,
    phase=classify.Phase.AUTH,
    reason=reasons.DeliveryReason.CREDENTIALS_REFUSED,
)


async def authenticate(
    client: aiosmtplib.SMTP, found: credentials.Credentials, known: auth_states.AuthState, limit: asyncio.Timeout
) -> None:
    """Send one AUTH, with the one mechanism of the settings; `login` would try all that are offered.

    Args:
        client: Its EHLO is answered.
        found: What to log in with; without a mechanism nothing is sent.
        known: What is known of that generation at this server, and what is learned of it.
        limit: Stands still while another session's AUTH with the same credentials is waited for.

    Raises:
        faults.StaleTokenError: An access token was refused, and another one is worth a try.
        faults.DeliveryError: It was refused, or is not to be tried.
    """
    mechanism, password = found.generation.mechanism, found.password
    if mechanism is vocabulary.Mechanism.ANONYMOUS:
        return
    if mechanism.lower() not in client.server_auth_methods:
        missing = classify.classify_fault(classify.Phase.AUTH, classify.Fault.MECHANISM_NOT_OFFERED)
        offered = client.server_auth_methods
        told = smtp_client.HELO_ALONE if client.last_helo_response is not None else sasl.not_offered(mechanism, offered)
        raise faults.DeliveryError(classify.Phase.AUTH, dataclasses.replace(missing, text=told))
    if found.failure is not None:
        raise faults.DeliveryError(classify.Phase.AUTH, found.failure)
    assert password is not None
    dialogue = sasl.dialogue(mechanism, username=found.identity, password=password)
    loop = asyncio.get_running_loop()
    left = (limit.when() or loop.time()) - loop.time()
    # Waiting for another session's AUTH is not the server's time.
    limit.reschedule(None)
    async with known.lock:
        limit.reschedule(loop.time() + left)
        if known.refusal is not None:
            raise faults.DeliveryError(classify.Phase.AUTH, known.refusal)
        if known.stale is password:
            # Another session learned that while this one waited. The same text, granted once more, is another token.
            raise faults.StaleTokenError(classify.Phase.AUTH, _STALE)
        failure = await _converse(client, dialogue, found)
        if failure is None:
            known.stale = None
            return
        if failure.reason is reasons.DeliveryReason.PROMPT_NOT_RECOGNIZED:
            known.refusal = failure
        elif failure.scope is classify.Scope.CREDENTIALS:
            if found.client is not None and known.stale is None:
                known.stale = password
                raise faults.StaleTokenError(classify.Phase.AUTH, failure)
            known.refusal = failure
    raise faults.DeliveryError(classify.Phase.AUTH, failure)


async def _converse(
    client: aiosmtplib.SMTP, dialogue: sasl.Dialogue, found: credentials.Credentials
) -> classify.Failure | None:
    """Lead a dialogue to its end, and return why it failed, or None; aiosmtplib's own does not look at the prompts."""
    response = await client.execute_command(dialogue.begin())
    while response.code == replies.CHALLENGE:
        try:
            line = dialogue.answer(response.message)
        except sasl.DialogueError as error:
            asked = quoting.quotable(sasl.readable(response.message), found.known)
            told = f'{error} It asked "{asked}".' if asked else str(error)
            # Whatever it answers, the connection is closed.
            await client.execute_command(sasl.CANCEL)
            failure = classify.classify_fault(classify.Phase.AUTH, classify.Fault.PROMPT_NOT_RECOGNIZED)
            return dataclasses.replace(failure, text=told)
        response = await client.execute_command(line)
    if response.code == replies.AUTHENTICATED:
        return None
    return smtp_client.judge_reply(classify.Phase.AUTH, response.code, response.message, found)
