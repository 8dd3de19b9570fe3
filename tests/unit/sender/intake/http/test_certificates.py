"""The intake's certificates."""

import contextlib
import datetime as dt
import pathlib
import ssl

import pytest
from cryptography import x509

from kit import certs
from mailtier.sender.intake.http import certificates

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_NAMES = ("mailtier.mail.svc", "127.0.0.1")


class _Clock:
    """A wall clock that moves when told."""

    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> dt.datetime:
        return self.now


def _leaf(folder: pathlib.Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / certificates.CERTIFICATE_FILE).read_bytes())


def _own(folder: pathlib.Path, clock: _Clock, names: tuple[str, ...] = _NAMES) -> certificates.OwnCertificates:
    return certificates.OwnCertificates(folder, names=names, now=clock)


def test_own_certificate_is_verified_by_its_authority(tmp_path: pathlib.Path) -> None:
    """A client that trusts the published authority alone finishes the handshake with each name."""
    made = certificates.OwnCertificates(tmp_path, names=_NAMES, now=lambda: dt.datetime.now(dt.UTC))
    assert made.refresh()
    client_context = ssl.create_default_context(cadata=made.authority_pem)
    for name in _NAMES:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(incoming, outgoing, server_hostname=name)
        server = made.context.wrap_bio(outgoing, incoming, server_side=True)
        _shake_hands(client, server)
        assert client.version() == "TLSv1.3"


@pytest.mark.parametrize(("curve", "expected"), [("prime256v1", True), ("secp521r1", False), ("secp384r1", False)])
def test_a_stranger_does_not_choose_what_a_handshake_costs(tmp_path: pathlib.Path, curve: str, expected: bool) -> None:
    """One group is spoken, which every client has; larger ones would cost us what the client likes (R10)."""
    made = certificates.OwnCertificates(tmp_path, names=_NAMES, now=lambda: dt.datetime.now(dt.UTC))
    made.refresh()
    client_context = ssl.create_default_context(cadata=made.authority_pem)
    client_context.set_ecdh_curve(curve)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(incoming, outgoing, server_hostname=_NAMES[0])
    server = made.context.wrap_bio(outgoing, incoming, server_side=True)
    with contextlib.nullcontext() if expected else pytest.raises(ssl.SSLError, match="NO_SUITABLE_KEY_SHARE"):
        _shake_hands(client, server)


def _shake_hands(*ends: ssl.SSLObject) -> None:
    waiting = list(ends)
    for _ in range(6):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting


def test_own_files_are_private_and_kept(tmp_path: pathlib.Path) -> None:
    """Keys are readable by their owner only; a restart goes on with the same authority and certificate."""
    made = _own(tmp_path, _Clock())
    made.refresh()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    before = _leaf(tmp_path)
    again = _own(tmp_path, _Clock())
    assert again.refresh()
    assert not again.refresh()
    assert again.authority_pem == made.authority_pem
    assert _leaf(tmp_path) == before


def test_own_certificate_is_renewed_before_its_end(tmp_path: pathlib.Path) -> None:
    """The leaf is renewed a month before its end, by the same authority."""
    clock = _Clock()
    made = _own(tmp_path, clock)
    made.refresh()
    before, authority = _leaf(tmp_path), made.authority_pem
    clock.now = before.not_valid_after_utc - dt.timedelta(days=31)
    assert not made.refresh()
    clock.now += dt.timedelta(days=2)
    assert made.refresh()
    assert _leaf(tmp_path).not_valid_after_utc > before.not_valid_after_utc
    assert made.authority_pem == authority


def test_authority_is_renewed_a_year_before_its_end(tmp_path: pathlib.Path) -> None:
    """An authority in its last year is replaced, and the leaf with it."""
    clock = _Clock()
    made = _own(tmp_path, clock)
    made.refresh()
    before, authority = _leaf(tmp_path), made.authority_pem
    clock.now = _START + dt.timedelta(days=3650 - 364)
    assert made.refresh()
    assert made.authority_pem != authority
    assert _leaf(tmp_path).issuer != before.issuer


def test_other_names_need_another_certificate(tmp_path: pathlib.Path) -> None:
    """A changed list of names makes a new leaf at the next start."""
    _own(tmp_path, _Clock()).refresh()
    before = _leaf(tmp_path)
    _own(tmp_path, _Clock(), ("other.example.com",)).refresh()
    assert _leaf(tmp_path) != before


@pytest.mark.parametrize("name", [certificates.CERTIFICATE_FILE, certificates.KEY_FILE, certificates.AUTHORITY_FILE])
@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_broken_files_are_made_anew(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    """A file that a crash or a hand left broken is replaced."""
    _own(tmp_path, _Clock()).refresh()
    (tmp_path / name).write_bytes(content)
    assert _own(tmp_path, _Clock()).refresh()
    assert (tmp_path / name).read_bytes() != content


def test_mounted_certificate_is_loaded_when_it_changes(ca: certs.Authority, tmp_path: pathlib.Path) -> None:
    """A mounted Secret is loaded at the start and again whenever its content changes; a broken one is not."""
    mounted = certificates.MountedCertificates(tmp_path)
    with pytest.raises(certificates.CertificateError, match="cannot be read"):
        mounted.refresh()
    for file_name in ("mounted-1", "mounted-2"):
        leaf = ca.issue(file_name=file_name)
        (tmp_path / "tls.crt").write_bytes(leaf.cert_path.read_bytes())
        (tmp_path / "tls.key").write_bytes(leaf.key_path.read_bytes())
        assert mounted.refresh()
        assert not mounted.refresh()
    in_force = mounted.context
    (tmp_path / "tls.key").write_bytes(b"nonsense")
    with pytest.raises(certificates.CertificateError, match="cannot be used"):
        mounted.refresh()
    assert mounted.context is in_force
    assert mounted.authority_pem is None
    (tmp_path / "ca.crt").write_text(ca.ca_pem, encoding="ascii")
