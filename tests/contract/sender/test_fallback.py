"""A fallback takes the mail while the first server is dead, and no longer; with two real servers."""

import collections.abc
import contextlib
import datetime as dt
import socket

import pytest

from kit import certs, hostile, logins, ports, sending, smtpd, spares, wait
from mailtier.api import reasons, vocabulary
from mailtier.sender import ports as sender_ports
from mailtier.sender.delivering.keeping import keeper
from mailtier.sender.smtp.servers import routing
from mailtier.settings import effective
from mailtier.telemetry import metrics

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_ORG = vocabulary.Origin.ORG
_SHORT = dt.timedelta(seconds=2)


def _nobody() -> effective.Endpoint:
    """Return an endpoint at which nobody listens."""
    return effective.Endpoint(
        host="127.0.0.1",
        port=ports.free(),
        tls=sending.PLAIN,
        addresses=sending.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )


def _two(first: effective.Endpoint, fallback: effective.Endpoint, **settings: object) -> effective.Effective:
    of = sending.settings("team-a", first, **settings)  # type: ignore[arg-type]
    return spares.with_fallback(of, fallback)


async def _until_away(sender: sending.Sender, of: effective.Effective) -> None:
    await wait.until_async(
        lambda: _truth(sender.destinations.fallback_since(of) is not None),
        within_seconds=20,
        why="the fallback is in use",
    )


async def _until_counted(fallbacks: int) -> None:
    """Return when the metric says how many fallbacks are in use."""

    def counted() -> bool:
        return metrics.SENDER_REGISTRY.get_sample_value("mailtier_fallbacks_in_use") == fallbacks

    await wait.until_async(counted, within_seconds=10, why=f"{fallbacks} fallbacks are counted")


async def _truth(so: bool) -> bool:
    return so


@pytest.mark.parametrize(
    "does",
    ["421 4.3.2 Too many connections", "554 5.3.2 Closed", hostile.hang_up(), hostile.silence(), b"SSH-2.0-x\r\n"],
)
async def test_a_first_server_that_does_not_greet_is_replaced(
    sender: sending.Sender, serve: Serve, does: smtpd.Behaviour | str | bytes
) -> None:
    """Whatever stands where a greeting should, the mail goes by the fallback, uncharged."""
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.GREETING, does)
    of = sender.settings.put(_two(sending.endpoint(first), sending.endpoint(fallback), session=_SHORT))
    (told,) = await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert (len(fallback.messages), len(first.messages)) == (1, 0)
    assert told.attempts == 1


async def test_a_port_at_which_nobody_listens_is_replaced(sender: sending.Sender, serve: Serve) -> None:
    """A refused connection is as dead as a server can be."""
    fallback = await serve()
    of = sender.settings.put(_two(_nobody(), sending.endpoint(fallback)))
    (told,) = await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert len(fallback.messages) == 1
    assert told.message.startswith("The fallback SMTP server took it: 250")


async def test_a_black_hole_is_replaced_after_one_time_out(sender: sending.Sender, serve: Serve) -> None:
    """What does not answer at all is not waited for twice."""
    fallback = await serve()
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(hole.getsockname())
        first = effective.Endpoint(
            host="127.0.0.1",
            port=hole.getsockname()[1],
            tls=sending.PLAIN,
            addresses=sending.LOOPBACK,
            origin=vocabulary.Origin.HOST,
            is_host_s=True,
        )
        of = sender.settings.put(_two(first, sending.endpoint(fallback), session=_SHORT))
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert len(fallback.messages) == 1


async def test_one_fault_is_none_to_leave_for(sender: sending.Sender, serve: Serve) -> None:
    """A server that is restarted has its mail a moment later."""
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.GREETING, "421 4.3.2 Shutting down", times=1)
    of = sender.settings.put(_two(sending.endpoint(first), sending.endpoint(fallback)))
    (told,) = await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert told.message.startswith("The SMTP server took it: 250")
    assert (len(first.messages), len(fallback.transcripts)) == (1, 0)
    assert sender.destinations.fallback_since(of) is None


async def test_a_certificate_that_does_not_verify_is_no_reason_to_leave(
    sender: sending.Sender,
    serve: Serve,
    authority: certs.Authority,
    leaf: certs.Leaf,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Somebody may stand in the way of the first server; that is to be told, and not to be got round (R2)."""
    stranger = certs.Authority(tmp_path_factory.mktemp("stranger")).issue("smtp.test")
    first = await serve(smtpd.Options(tls=smtpd.Tls.STARTTLS, context=stranger.server_context()))
    fallback = await serve(smtpd.Options(tls=smtpd.Tls.STARTTLS, context=leaf.server_context()))
    wanted = effective.Tls(
        mode=vocabulary.TlsMode.STARTTLS,
        server_name="smtp.test",
        min_version=vocabulary.TlsVersion.V1_2,
        ca=sender.settings.publish(authority.ca_pem),
    )
    of = sender.settings.put(_two(sending.endpoint(first, tls=wanted), sending.endpoint(fallback, tls=wanted)))
    await sender.notify(of)
    for attempt in range(1, 4):
        await wait.until_async(
            lambda attempt=attempt: _truth(len(first.transcripts) >= attempt),  # type: ignore[misc]
            within_seconds=20,
            why="it was tried",
        )
        sender.skip(600)
    assert fallback.transcripts == []


async def test_a_refused_login_is_no_reason_to_leave(sender: sending.Sender, login: logins.Login, serve: Serve) -> None:
    """The first server is there and says no: the organization is held, and its password goes nowhere else (R12)."""
    fallback = await serve()
    login.server.script.on("AUTH", "535 5.7.8 Not you")
    of = sender.settings.put(spares.with_fallback(login.settings, sending.endpoint(fallback)))
    await sender.notify(of)
    await sender.until_held()
    assert (len(login.server.auth_attempts), fallback.transcripts) == (1, [])


async def test_a_refused_message_is_no_reason_to_leave(sender: sending.Sender, serve: Serve) -> None:
    """What the first server says of a recipient is said."""
    first, fallback = await serve(), await serve()
    first.script.on("RCPT", "550 5.1.1 Nobody")
    of = sender.settings.put(_two(sending.endpoint(first), sending.endpoint(fallback)))
    await sender.until(of, await sender.notify(of), _S.FAILED)
    assert fallback.transcripts == []


async def test_the_first_server_has_its_mail_again_when_a_probe_found_it(sender: sending.Sender, serve: Serve) -> None:
    """While the fallback is in use the first is probed each minute, and used again as soon as that goes through."""
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.GREETING, "421 4.3.2 Closed")
    of = _two(sending.endpoint(first), sending.endpoint(fallback))
    sender.settings.put(of)
    async with sender.probing():
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        await _until_away(sender, of)
        await _until_counted(1)
        first.script.clear()

        async def is_back() -> bool:
            sender.skip(routing.TRIAL_SECONDS / 4)
            return sender.destinations.fallback_since(of) is None

        await wait.until_async(is_back, within_seconds=20, why="the first server is in use")
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        await _until_counted(0)
    assert (len(fallback.messages), len(first.messages)) == (1, 1)


async def test_what_is_in_doubt_stays_where_it_is(sender: sending.Sender, serve: Serve) -> None:
    """A message lost after its dot waits for the first server, while others go by the fallback; none arrives twice."""
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(_two(sending.endpoint(first), sending.endpoint(fallback)))
    doubtful = await sender.notify(of, "doubtful@example.org")
    await sender.until(of, doubtful, _S.IN_DOUBT)
    first.script.on(smtpd.GREETING, "421 4.3.2 Closed")
    await sender.until(of, await sender.notify(of, "other@example.org"), _S.ACCEPTED)
    assert [message.rcpt_to for message in fallback.messages] == [("other@example.org",)]
    sender.skip(400)
    await sender.until(of, await sender.notify(of, "third@example.org"), _S.ACCEPTED)
    assert await sender.states(of, doubtful) == [_S.IN_DOUBT]
    first.script.clear()

    async def is_resent() -> bool:
        sender.skip(30)
        return await sender.states(of, doubtful) == [_S.ACCEPTED]

    await wait.until_async(is_resent, within_seconds=20, why="it was resent")
    assert [message.rcpt_to for message in first.messages] == [("doubtful@example.org",)] * 2
    assert first.messages[0].data == first.messages[1].data
    assert all(message.rcpt_to != ("doubtful@example.org",) for message in fallback.messages)


async def test_what_is_in_doubt_at_the_fallback_stays_there(sender: sending.Sender, serve: Serve) -> None:
    """When the first server is back, what was lost at the fallback is resent at the fallback."""
    first, fallback = await serve(), await serve()
    first.script.on(smtpd.GREETING, "421 4.3.2 Closed")
    fallback.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(_two(sending.endpoint(first), sending.endpoint(fallback)))
    doubtful = await sender.notify(of, "doubtful@example.org")
    await sender.until(of, doubtful, _S.IN_DOUBT)
    first.script.clear()
    sender.skip(70)
    await sender.check(of)
    sender.skip(70)
    await sender.until(of, await sender.notify(of, "other@example.org"), _S.ACCEPTED)
    assert [message.rcpt_to for message in first.messages] == [("other@example.org",)]

    async def is_resent() -> bool:
        sender.skip(30)
        return await sender.states(of, doubtful) == [_S.ACCEPTED]

    await wait.until_async(is_resent, within_seconds=20, why="it was resent")
    assert [message.rcpt_to for message in fallback.messages] == [("doubtful@example.org",)] * 2
    assert len(first.messages) == 1


async def test_each_server_has_its_own_credentials(sender: sending.Sender, login: logins.Login, serve: Serve) -> None:
    """What is for the fallback is sent to the fallback alone, and read with its own annotation (R1)."""
    fallback = await serve(smtpd.Options(users={"spare": "another"}, plaintext_auth=True))
    there = sending.endpoint(fallback)
    reference = sender.secrets.put("mailtier", "spare", "another", endpoint=str(there))
    of = spares.with_fallback(login.settings, there, auth=sending.login(reference, identity="spare"))
    login.server.script.on(smtpd.GREETING, "421 4.3.2 Closed")
    sender.settings.put(of)
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert [attempt.username for attempt in fallback.auth_attempts] == ["spare"]
    assert login.server.auth_attempts == []


async def test_both_servers_are_probed(sender: sending.Sender, serve: Serve) -> None:
    """A fallback that nobody has tried is found wanting on the day that it is needed: it is probed as the first is."""
    first, fallback = await serve(), await serve()
    fallback.script.on("MAIL", "550 5.7.1 Not from here")
    of = _two(sending.endpoint(first), sending.endpoint(fallback))
    sender.settings.put(of)
    async with sender.probing():

        async def found() -> bool:
            return {probe.reason for probe in await sender.queue.probes()} >= {
                reasons.VERIFIED.name,
                reasons.SENDER_REFUSED.name,
            }

        await wait.until_async(found, within_seconds=20, why="both were probed")


async def test_a_server_that_dies_has_only_its_users_judged_anew(
    sender: sending.Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a server that comes and goes costs others with a fallback nothing (R15)."""
    fallback, other = await serve(), await serve()
    calm = sending.settings("calm", sending.endpoint(other, origin=_ORG))
    calm = sender.settings.put(spares.with_fallback(calm, sending.endpoint(fallback, origin=_ORG)))
    await sender.until(calm, await sender.notify(calm), _S.ACCEPTED)
    judged, judge = list[str](), keeper.Keeper.judge

    def note(self: keeper.Keeper, key: sender_ports.LaneKey) -> None:
        judged.append(key.namespace)
        judge(self, key)

    monkeypatch.setattr(keeper.Keeper, "judge", note)
    of = sender.settings.put(_two(_nobody(), sending.endpoint(fallback)))
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert "team-a" in judged
    assert "calm" not in judged
