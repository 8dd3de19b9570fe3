"""A host's relay dies and comes back, and its fallback takes the mail meanwhile: seen in status, and in the mail."""

import pathlib
import typing

import pytest

from kit import certs, installations, smtpd, tenants
from kit import cluster as cluster_kit


class _Scene:
    """An installation with two servers, and an organization that inherits both.

    Args:
        installation: Mailtier at work.
        spare: The second server.
        folder: For tokens.
    """

    def __init__(self, installation: installations.Installation, spare: smtpd.Process, folder: pathlib.Path) -> None:
        self._installation = installation
        self._spare = spare
        self._folder = folder
        self._tenant: tenants.Tenant = installation.tenant()
        self._sent = 0

    def until_in_use(self, server: str) -> None:
        """Return when the status of the host and that of the organization say which server takes the mail."""
        world = self._installation.world

        def look() -> bool:
            found = (world.get("hes", "default"), world.get("oes", "default", self._tenant.namespace))
            told = [(each or {}).get("status", {}).get("server", {}) for each in found]
            # Since when is told of the fallback alone.
            return all(each.get("inUse") == server and ("since" in each) == (server == "Fallback") for each in told)

        # The fallback has a minute at least.
        world.until(look, f"the status says that the server in use is {server}", within_seconds=120)

    def send(self) -> str:
        """Send a notification, and return by which server it went."""
        self._sent += 1
        recipient = f"mail-{self._sent}@example.com"
        arguments = ("--category=JobAlert", f"--to={recipient}", "--text=It failed.", "--wait")
        reached = self._installation.to_intake(self._tenant, self._folder)
        done = self._installation.program.run("send", self._tenant.namespace, *arguments, *reached)
        assert done.status == 0, done
        servers = {"First": self._installation.relay, "Fallback": self._spare}
        (server,) = (
            name for name, each in servers.items() for message in each.messages() if message["rcpt_to"] == [recipient]
        )
        return server

    def verify(self) -> int:
        """Have the host's server looked at now, and return the status of the command."""
        reached = self._installation.to_intake(None, self._folder)
        return self._installation.program.run("verify", "--host", *reached).status


@pytest.fixture
def scene(
    cluster: cluster_kit.LocalCluster, ca: certs.Authority, tmp_path: pathlib.Path
) -> typing.Iterator[tuple[_Scene, smtpd.Process]]:
    """Return the installation, and the host's relay."""
    spare = smtpd.Process(
        tmp_path / "spare",
        leaf=ca.issue("localhost", file_name="spare"),
        tls=smtpd.Tls.STARTTLS,
        users={"platform": installations.PASSWORD},
    )
    with spare, installations.run(cluster, ca, tmp_path) as installation:
        world, relay = installation.world, installation.relay
        installation.password(installations.PASSWORD, spare.port)
        host = world.get("hes", "default")
        assert host is not None
        fallback = {"host": "localhost", "port": spare.port, "tls": host["spec"]["smtp"]["tls"]}
        world.host(**{**host["spec"], "smtp": {**host["spec"]["smtp"], "fallback": fallback}})
        yield _Scene(installation, spare, tmp_path), relay


def test_a_fallback_takes_over_and_gives_back(scene: tuple[_Scene, smtpd.Process]) -> None:
    """The relay dies: mail goes by its fallback; it is back and somebody looks: mail goes by the relay again (R4)."""
    on, relay = scene
    on.until_in_use("First")
    assert on.send() == "First"
    relay.stop()
    assert on.send() == "Fallback"
    on.until_in_use("Fallback")
    relay.start()
    assert on.send() == "Fallback"
    assert on.verify() == 0
    on.until_in_use("First")
    assert on.send() == "First"
