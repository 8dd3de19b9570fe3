"""Contexts: loaded without holding the loop, once for a bundle, and within a bound of memory."""

import asyncio
import dataclasses
import datetime as dt
import gc
import os
import pathlib
import ssl
import threading
import time
import weakref

import pytest
import trustme

from kit import certs
from kit import handshakes as costly
from mailtier.api import names, secret, vocabulary
from mailtier.mail import classify
from mailtier.sender.net import faults, tls
from mailtier.settings import client_certificates, effective
from mailtier.telemetry import lag

_ATTEMPTS = 5
_CERTIFICATES = 1000


class _Source:
    """Bundles by name, and how often one was asked for."""

    def __init__(self, **bundles: str) -> None:
        self.bundles = bundles
        self.asked = 0

    async def bundle(self, digest: str) -> str | None:
        self.asked += 1
        return self.bundles.get(digest)


def _settings(ca: str | None) -> effective.Tls:
    return effective.Tls(
        mode=vocabulary.TlsMode.STARTTLS, server_name=None, min_version=vocabulary.TlsVersion.V1_2, ca=ca
    )


@pytest.fixture(scope="module")
def large() -> str:
    """Return as many certificates as a bundle may have."""
    return "".join(costly.authorities(_CERTIFICATES))


async def test_the_loop_goes_on_while_a_large_bundle_is_loaded(large: str) -> None:
    """A thousand certificates take a thread its time, and the loop none of it (R10, R15)."""
    attempts = []
    for _ in range(_ATTEMPTS):
        late: list[float] = []
        started = time.monotonic()
        async with lag.watched(late.append):
            # The first look is under way before anything is loaded.
            await asyncio.sleep(0)
            await tls.Contexts(_Source(a=large)).get(_settings("a"), owner="team-a")
            cost = time.monotonic() - started
            await asyncio.sleep(2 * lag.PERIOD_SECONDS)
        attempts.append((cost, max(late)))
    assert any(longest < cost / 3 for cost, longest in attempts), attempts


def test_the_cause_of_a_certificate_s_fault_goes_on_its_sentence() -> None:
    """OpenSSL's words begin in lower case, so that they follow a colon."""
    error = ssl.SSLCertVerificationError()
    error.verify_message = "unable to get local issuer certificate"
    assert tls.judge(classify.Phase.TLS, error).text == (
        "The SMTP server's certificate did not verify: unable to get local issuer certificate."
    )


async def test_a_bundle_is_loaded_once() -> None:
    """Sessions that open together wait for one context."""
    source = _Source(a=trustme.CA().cert_pem.bytes().decode())
    contexts = tls.Contexts(source)
    found = await asyncio.gather(*(contexts.get(_settings("a"), owner="team-a") for _ in range(20)))
    assert len(set(map(id, found))) == 1
    assert source.asked == 1
    assert found[0].cert_store_stats()["x509_ca"] == 1


async def test_contexts_are_kept_within_a_bound() -> None:
    """Large bundles push each other out, and what is still in use is not built a second time (R15)."""
    pem = trustme.CA().cert_pem.bytes().decode()
    source = _Source(**dict.fromkeys("abcd", pem + "#" * 6 * 1024 * 1024))
    contexts = tls.Contexts(source)
    first = await contexts.get(_settings("a"), owner="team-a")
    for name in "bcd":
        await contexts.get(_settings(name), owner="team-a")
    assert len(contexts._kept) == 2
    assert await contexts.get(_settings("a"), owner="team-a") is first
    del first
    for name in "bcd":
        await contexts.get(_settings(name), owner="team-a")
    gc.collect()
    assert len(contexts._used) == 2


@pytest.mark.parametrize(("ca", "says"), [("missing", "not published yet"), ("broken", "cannot be loaded")])
async def test_a_bundle_that_cannot_be_used_is_told(ca: str, says: str) -> None:
    """That no connection was tried is told, and not that a handshake failed (R2)."""
    with pytest.raises(faults.DeliveryError) as caught:
        await tls.Contexts(_Source(broken="-----BEGIN CERTIFICATE-----\nx\n")).get(_settings(ca), owner="team-a")
    assert says in caught.value.failure.text


async def test_large_bundles_push_out_their_owner_s_and_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five namespaces with four bundles of a mebibyte have theirs built again, and nobody else has (R15)."""
    built: list[str | None] = []
    build = tls._build

    def counted(version: vocabulary.TlsVersion, bundle: str | None, certificate: None) -> ssl.SSLContext | None:
        built.append(bundle)
        return build(version, bundle, certificate)

    monkeypatch.setattr(tls, "_build", counted)
    pem = trustme.CA().cert_pem.bytes().decode()
    large = {f"large{number}": pem + "#" * 1024 * 1024 for number in range(20)}
    contexts = tls.Contexts(_Source(small=pem, **large))
    for _ in range(2):
        await contexts.get(_settings(None), owner="team-a")
        await contexts.get(_settings("small"), owner="team-b")
        for number, name in enumerate(large):
            await contexts.get(_settings(name), owner=f"attacker-{number // 4}")
        gc.collect()
    assert (built.count(None), built.count(pem)) == (1, 1)
    assert len(built) > 22


async def test_a_namespace_has_one_context_built_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has many bundles read waits for its own, and others' are built meanwhile, credentials read (R15)."""
    go_on = threading.Event()
    pem = trustme.CA().cert_pem.bytes().decode()
    large, build = pem + "#", tls._build

    def slow(version: vocabulary.TlsVersion, bundle: str | None, certificate: None) -> ssl.SSLContext | None:
        assert bundle != large or go_on.wait(60)
        return build(version, bundle, certificate)

    monkeypatch.setattr(tls, "_build", slow)
    names = [f"large{number}" for number in range(40)]
    contexts = tls.Contexts(_Source(small=pem, **dict.fromkeys(names, large)))
    attacks = [asyncio.create_task(contexts.get(_settings(name), owner="attacker")) for name in names]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await contexts.get(_settings("small"), owner="team-a")
            await asyncio.to_thread(lambda: None)
        assert not any(task.done() for task in attacks)
    finally:
        go_on.set()
    assert len(await asyncio.gather(*attacks)) == len(names)


@pytest.mark.parametrize("ca", [None, "a"])
async def test_a_server_cannot_ask_for_another_handshake(ca: str | None) -> None:
    """Each would be made in the loop, with as many certificates as the server likes (R10, R15)."""
    contexts = tls.Contexts(_Source(a=trustme.CA().cert_pem.bytes().decode()))
    assert (await contexts.get(_settings(ca), owner="team-a")).options & ssl.OP_NO_RENEGOTIATION


def _certificate(folder: pathlib.Path, name: str) -> client_certificates.ClientCertificate:
    leaf = certs.Authority(folder).issue(name, file_name=name)
    return client_certificates.parse(
        leaf.cert_path.read_bytes(),
        leaf.key_path.read_bytes(),
        kind=names.TLS_SECRET_TYPE,
        now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    )


async def test_a_context_with_a_client_certificate_is_nobody_else_s(tmp_path: pathlib.Path) -> None:
    """R1: it is kept by the certificate, so that no connection without it, or with another, shows it."""
    contexts = tls.Contexts(_Source())
    first, second = (_certificate(tmp_path, name) for name in ("a.example.com", "b.example.com"))
    bare = await contexts.get(_settings(None), owner="team-a")
    with_first = await contexts.get(_settings(None), owner="team-a", certificate=first)
    with_second = await contexts.get(_settings(None), owner="team-a", certificate=second)
    assert len({id(each) for each in (bare, with_first, with_second)}) == 3
    assert await contexts.get(_settings(None), owner="team-b", certificate=first) is with_first
    assert await contexts.get(_settings(None), owner="team-a") is bare


async def test_a_private_key_is_not_kept_longer_than_it_is_used(tmp_path: pathlib.Path) -> None:
    """R1: no file of it is left open, and no context of it once nobody has asked for it lately."""
    contexts = tls.Contexts(_Source())
    certificate = _certificate(tmp_path, "a.example.com")
    made = weakref.ref(await contexts.get(_settings(None), owner="team-a", certificate=certificate))
    assert not any("memfd:client" in name for name in await asyncio.to_thread(_open_files))
    # The thread that built it lets go of it with its next work.
    await contexts.get(_settings(None), owner="team-a")
    contexts.forget_old(60.0)
    gc.collect()
    assert made() is not None
    contexts.forget_old(0.0)
    gc.collect()
    assert made() is None


def _open_files() -> list[str]:
    return [os.path.realpath(each) for each in pathlib.Path("/proc/self/fd").iterdir()]


async def test_what_cannot_be_loaded_is_told(tmp_path: pathlib.Path) -> None:
    """OpenSSL has the last word on a key: what it does not take is a fault of TLS, and quotes nothing."""
    certificate = _certificate(tmp_path, "a.example.com")
    broken = dataclasses.replace(certificate, private_key=secret.Hidden("-----BEGIN PRIVATE KEY-----\nAAAA\n"))
    with pytest.raises(faults.DeliveryError) as caught:
        await tls.Contexts(_Source()).get(_settings(None), owner="team-a", certificate=broken)
    assert caught.value.failure.text == "The CA bundle or client certificate of the settings cannot be loaded."
