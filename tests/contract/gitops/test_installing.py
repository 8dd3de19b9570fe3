"""What the pages tell to run does what they say."""

import re
import shlex

import pytest
import yaml

from kit import cluster as cluster_kit
from kit import health, helm, pipelines, wait
from mailtier.api import names

_MANIFEST = re.compile(r"^```yaml\n(apiVersion: \S+\nkind: (\S+)\n.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_patch_for_argocd_leaves_its_other_settings_alone(cluster: cluster_kit.LocalCluster) -> None:
    """The command of the page merges the health scripts into a ConfigMap that holds somebody's settings."""
    page = (health.ROOT / "docs/gitops/argocd.md").read_text(encoding="utf-8")
    command = re.search(r"^kubectl (.* patch .*)$", page, re.MULTILINE)
    assert command is not None
    arguments = [part.replace("docs/", f"{health.ROOT}/docs/") for part in shlex.split(command[1])]
    cluster.kubectl("create", "namespace", "argocd")
    cluster.kubectl("create", "configmap", "argocd-cm", "-n", "argocd", "--from-literal=url=https://argocd.example.com")
    cluster.kubectl(*arguments)
    data = yaml.safe_load(cluster.kubectl("get", "configmap", "argocd-cm", "-n", "argocd", "-o", "yaml").stdout)["data"]
    script = (health.ROOT / health.SCRIPT).read_text(encoding="utf-8")
    assert data.pop("url") == "https://argocd.example.com"
    assert set(data) == {
        f"resource.customizations.health.{names.GROUP}_{kind}"
        for kind in (names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND)
    }
    assert set(data.values()) == {script}
    cluster.kubectl("delete", "namespace", "argocd", "--wait=false")


@pytest.mark.parametrize(("page", "kinds"), [("backup", ["Pod"]), ("postgres", ["Job"])])
def test_what_the_pages_apply_is_taken(cluster: cluster_kit.LocalCluster, page: str, kinds: list[str]) -> None:
    """Each manifest is known to the apiserver in all its fields, also where Pod Security is restricted."""
    text = (health.ROOT / f"docs/how-to/{page}.md").read_text(encoding="utf-8")
    found = _MANIFEST.findall(text)
    assert [kind for _, kind in found] == kinds
    namespace = f"pages-{page}"
    cluster.kubectl("create", "namespace", namespace)
    for mode in ("enforce", "warn"):
        cluster.kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/{mode}=restricted")
    for manifest, _ in found:
        taken = cluster.kubectl(
            "create", "-n", namespace, "-f-", "--dry-run=server", "--validate=strict", input=manifest
        )
        assert "Warning" not in taken.stderr
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_the_chart_stays_in_sync(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """What the chart renders, applied by Argo CD, has no difference afterwards, whatever the API server filled in."""
    values = {"crds": {"enabled": False}, "commonLabels": {"argocd.argoproj.io/instance": "mailtier"}}
    text = helm.template(values, release=namespace, namespace=namespace)
    pipeline = pipelines.Pipeline(cluster, pipelines.ARGOCD, text)
    try:
        pipeline.sync()
        # A controller may be between two writes: the policy's types are checked by one.
        wait.until(lambda: pipeline.differences() == [], within_seconds=30, why="nothing differs", poll_seconds=0.2)
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)
