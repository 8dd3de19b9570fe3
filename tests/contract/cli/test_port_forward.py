"""The commands reach the sender through its pod: a real apiserver's port-forward, and a node of the test's own."""

from kit import certs, commands, installations, kubelet
from mailtier.api import names

_PORT = 8443


def test_a_notification_goes_through_the_pod(installation: installations.Installation, ca: certs.Authority) -> None:
    """Pod, port, authority, name and token are all found, and the path works as it does with an address."""
    world, tenant = installation.world, installation.tenant()
    with kubelet.Kubelet(world.cluster, ca.issue("node", file_name="node")) as node:
        node.run_pod(world.system, "mailtier-0", owner="mailtier", intake_port=_PORT)
        account = f"--as-service-account={tenant.namespace}/application"
        refused = installation.program.run("send", tenant.namespace, "--to=ops@example.com", account, "--timeout=20s")
        assert (refused.status, refused.err.count("\n")) == (1, 1)
        assert "connection refused" in refused.err
        node.backends[_PORT] = installation.sender.port
        done = installation.program.run("send", tenant.namespace, "--to=ops@example.com", account)
        assert (done.status, done.err) == (0, ""), done
        assert "accepted" in done.out
        verified = installation.program.run("verify", tenant.namespace, account)
        assert verified.status == 0, verified
        assert {protocol for _, protocol in node.requests} == {"v4.channel.k8s.io"}
        pods = installation.program.run("status")
        assert "mailtier-0: operator ready, sender ready" in pods.out
        tenant_only = installation.world.cluster.kubeconfig_for(tenant.namespace, "application")
        program = commands.Program(kubeconfig=tenant_only, environment={"MAILTIER_OPERATOR_NAMESPACE": world.system})
        forbidden = program.run("send", tenant.namespace, account)
        assert (forbidden.status, forbidden.err.count("\n")) == (1, 1)
        assert "you may not create serviceaccounts/token" in forbidden.err


def test_the_authority_is_published_and_repaired(installation: installations.Installation) -> None:
    """Clients find what to trust in a ConfigMap that the sender's own watch does not see."""
    world = installation.world

    def found() -> dict[str, object]:
        return world.get("configmap", names.INTAKE_CA_CONFIG_MAP, world.system) or {}

    world.until(found, "the authority is published")
    pem = installation.sender.ca_path.read_text(encoding="ascii")
    assert found()["data"] == {"ca.crt": pem}
    labelled = world.cluster.kubectl(
        "get", "configmaps", "-n", world.system, "-o", "name", f"--selector={names.PUBLISHED_SELECTOR}"
    ).stdout
    assert names.INTAKE_CA_CONFIG_MAP not in labelled
