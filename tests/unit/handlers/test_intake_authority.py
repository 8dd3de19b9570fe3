"""The intake's certificates, published for clients."""

import pathlib
import typing

import pytest

from kit import api, certs
from mailtier.api import feed, names
from mailtier.handlers import intake_authority
from mailtier.kube import errors, paths

_PATH = paths.config_maps("system", names.INTAKE_CA_CONFIG_MAP)


class Publishing:
    """The reconciler, its API server, and the folder that the sender writes into."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.api = api.Api()
        self.file = folder / feed.AUTHORITY_NAME
        self.authority = intake_authority.IntakeAuthority(
            typing.cast("typing.Any", self.api), namespace="system", folder=folder
        )

    @property
    def published(self) -> str | None:
        """What clients find."""
        found = self.api.objects.get(_PATH)
        return None if found is None else found["data"][names.CA_KEY]


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Publishing:
    """Return a reconciler that has written nothing."""
    return Publishing(tmp_path)


async def test_it_is_published_once_and_repaired(world: Publishing, ca: certs.Authority) -> None:
    """A steady state writes nothing (R8); what somebody else did to it is mended within a minute."""
    world.file.write_text(ca.ca_pem, encoding="ascii")
    assert await world.authority.reconcile(now=0) is True
    assert world.published == ca.ca_pem
    assert await world.authority.reconcile(now=1) is False
    assert len(world.api.requests) == 2
    world.api.objects[_PATH]["data"] = {}
    assert await world.authority.reconcile(now=intake_authority.CHECK_SECONDS) is True
    assert world.published == ca.ca_pem


async def test_a_new_authority_is_published_at_once(
    world: Publishing, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Clients must trust a new authority before the certificate that it signed is served for long."""
    for number in range(2):
        pem = certs.Authority(tmp_path_factory.mktemp("ca")).ca_pem
        world.file.write_text(pem, encoding="ascii")
        assert await world.authority.reconcile(now=number) is True
        assert world.published == pem


async def test_what_another_life_published_is_not_written_again(world: Publishing, ca: certs.Authority) -> None:
    """After a start the ConfigMap is looked at first."""
    world.file.write_text(ca.ca_pem, encoding="ascii")
    world.api.objects[_PATH] = {"data": {names.CA_KEY: ca.ca_pem}}
    assert await world.authority.reconcile(now=0) is False


@pytest.mark.parametrize(
    "content", ["", "nothing of that kind", "-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----"]
)
async def test_only_certificates_are_published(world: Publishing, content: str) -> None:
    """A file that holds none, or more than it should, is left alone (R1)."""
    world.file.write_text(content, encoding="ascii")
    assert await world.authority.reconcile(now=0) is False
    assert world.published is None


async def test_without_a_file_what_is_there_stays(world: Publishing) -> None:
    """A sender that is starting takes nothing from its clients."""
    world.api.objects[_PATH] = {"data": {names.CA_KEY: "former"}}
    assert await world.authority.reconcile(now=0) is False
    assert await world.authority.reconcile(now=1) is False
    assert world.published == "former"
    assert world.authority.pem == "former"
    assert len(world.api.requests) == 1


async def test_a_failed_write_is_tried_again(world: Publishing, ca: certs.Authority) -> None:
    """What the apiserver did not take is not taken for published."""
    world.file.write_text(ca.ca_pem, encoding="ascii")
    world.api.failing = errors.UnavailableError("down")
    with pytest.raises(errors.UnavailableError):
        await world.authority.reconcile(now=0)
    world.api.failing = None
    assert await world.authority.reconcile(now=1) is True
