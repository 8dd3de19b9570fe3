"""Bundles of CA certificates: what is taken, and what is refused before anything is verified against it (R10)."""

import base64
import contextlib
import pathlib
import ssl
import subprocess
import sys

import pytest
from cryptography import utils, x509
from hypothesis import given
from hypothesis import strategies as st

from kit import certs, repository
from mailtier.settings import bundles


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a certificate authority's certificate."""
    folder: pathlib.Path = tmp_path_factory.mktemp("bundles")
    return certs.Authority(folder).ca_pem.strip() + "\n"


def test_certificates_alone_make_a_bundle(pem: str) -> None:
    """Comments and blank lines around certificates make no other bundle, another certificate does."""
    bundle = bundles.parse(pem)
    assert bundles.parse(f"# Platform CA\n\n{pem}\nthe end\n") == bundle
    assert bundles.parse(pem * 2).digest != bundle.digest
    assert bundles.parse(bundle.pem) == bundle


def test_a_bundle_is_bounded(pem: str) -> None:
    """A thousand certificates are taken, one more or a mebibyte and a byte are not (R10)."""
    assert bundles.parse(pem * bundles.MAXIMUM_CERTIFICATES)
    with pytest.raises(bundles.BundleError, match="1001 certificates"):
        bundles.parse(pem * (bundles.MAXIMUM_CERTIFICATES + 1))
    room = bundles.MAXIMUM_BYTES - len(pem)
    assert bundles.parse("#" * room + pem)
    with pytest.raises(bundles.BundleError, match="1048577 bytes"):
        bundles.parse("#" * (room + 1) + pem)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no PEM certificate"),
        (
            "\n-----BEGIN CERTIFICATE-----\nAAAA\n",
            "a block of the bundle does not end as it begins, at line 2, character 1$",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1 of the bundle cannot be read",
        ),
        ("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "certificate 1 of the bundle ends too soon"),
        (
            "\n-----BEGIN CERTIFICATE-----\nAA=A\n-----END CERTIFICATE-----\n",
            r"has something other than base64 \(line 3, character 3",
        ),
        ("-----BEGIN CERTIFICATE-----\n".encode("utf-16").decode("utf-8", "surrogateescape"), "UTF-16"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "block 1 is a PRIVATE KEY"),
    ],
)
def test_anything_else_is_refused_by_its_position(text: str, reason: str) -> None:
    """What is no certificate is named by its position, and a private key is never published as a bundle."""
    with pytest.raises(bundles.BundleError, match=reason):
        bundles.parse(text)


def test_the_place_of_a_broken_certificate_is_told(pem: str) -> None:
    """The second of two is the second, so that a person finds it in a long file."""
    broken = pem.replace("\nM", "\n*", 1)
    with pytest.raises(bundles.BundleError, match="certificate 2 of the bundle"):
        bundles.parse(pem + broken)


@pytest.mark.parametrize("between", [" ", "  ", "\t", "\r\n", "\\n", "\\r\\n", "\n    ", "\u00a0", ""])
def test_line_breaks_that_became_something_else_are_read(pem: str, between: str) -> None:
    """What a template or a shell made of a PEM text is read where there is no doubt, and published as it should be."""
    head, *body, tail = pem.strip().split("\n")
    assert bundles.parse(between.join((head, *body, tail)) * 2) == bundles.parse(pem * 2)


def test_a_published_bundle_is_what_openssl_reads(pem: str) -> None:
    """Whatever form it came in, the sender's library takes it (that the core took it is not enough)."""
    flat = " ".join(pem.split("\n"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError):
        context.load_verify_locations(cadata=flat)
    context.load_verify_locations(cadata=bundles.parse(flat).pem)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_block_without_its_end_is_not_left_out(pem: str) -> None:
    """A bundle that was cut is refused, or its last authority would be missing and nobody know why."""
    cut = pem[: len(pem) // 2] + "\n"
    for at in range(5):
        parts = [pem] * 5
        parts[at] = cut
        line = "".join(parts[:at]).count("\n") + 1
        with pytest.raises(
            bundles.BundleError, match=rf"a block of the bundle does not end as it begins, at line {line}, character 1$"
        ):
            bundles.parse("".join(parts))


def test_a_certificate_that_a_library_frowns_upon_is_taken_in_silence(pem: str) -> None:
    """Bundles of public authorities hold some with a serial number below 1, which is no warning to an operator."""
    lines = pem.strip().split("\n")
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    serial = x509.load_der_x509_certificate(bytes(der)).serial_number
    length = (serial.bit_length() + 8) // 8
    der[der.index(serial.to_bytes(length, "big"))] |= 0x80
    frowned_upon = bytes(der)
    with pytest.warns(utils.CryptographyDeprecationWarning):
        x509.load_der_x509_certificate(frowned_upon)
    # In a process of its own: here every warning is an error.
    told = subprocess.run(
        [sys.executable, "-c", "import sys; from mailtier.settings import bundles; bundles.parse(sys.stdin.read())"],
        input="\n".join((lines[0], base64.b64encode(frowned_upon).decode(), lines[-1])),
        env={"PYTHONPATH": str(repository.ROOT / "operator")},
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stderr == ""


@given(st.text())
def test_whatever_stands_in_a_block_is_read_or_refused(body: str) -> None:
    """No text leads to another error than ours (R10)."""
    with contextlib.suppress(bundles.BundleError):
        bundles.parse(f"-----BEGIN CERTIFICATE-----{body}-----END CERTIFICATE-----")
