"""Bundles of CA certificates: what is taken, and what is refused before anything is verified against it (R10)."""

import pathlib

import pytest

from kit import certs
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
    """Fifty certificates are taken, one more or 64 KiB and a byte are not (R10)."""
    assert bundles.parse(pem * bundles.MAXIMUM_CERTIFICATES)
    with pytest.raises(bundles.BundleError, match="51 certificates"):
        bundles.parse(pem * (bundles.MAXIMUM_CERTIFICATES + 1))
    room = bundles.MAXIMUM_BYTES - len(pem)
    assert bundles.parse("#" * room + pem)
    with pytest.raises(bundles.BundleError, match="65537 bytes"):
        bundles.parse("#" * (room + 1) + pem)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "holds no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 of the bundle"),
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
