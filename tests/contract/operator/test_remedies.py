"""What a status says is enough to mend what it speaks of: nobody has to know more than kubectl."""

import collections.abc
import typing
from concurrent import futures

import pytest

from kit import certs, operators, remedies, tutorial, wait, worlds
from kit import cluster as cluster_kit
from mailtier.api import reasons, vocabulary

OWN: dict[str, typing.Any] = {
    "smtp": {"host": "smtp.team.example"},
    "auth": {"username": "team", "passwordSecretRef": {"name": "smtp"}},
    "from": {"address": "team@team.example"},
}
OAUTH2 = {
    "tokenURL": "https://login.team.example:8443/token",
    "clientID": "mailtier",
    "secretRef": {"name": "oauth"},
}

MORE: dict[str, tuple[dict[str, typing.Any], list[str]]] = {
    "port": ({**OWN, "smtp": {"host": "smtp.team.example", "port": 588}}, ["EndpointNotAllowed", "SecretNotFound"]),
    "anonymous": ({**OWN, "auth": {"mechanism": "Anonymous"}}, ["AnonymousNotAllowed", "SecretNotFound"]),
    "token-server": (
        {**OWN, "auth": {"username": "team", "oauth2": OAUTH2}},
        ["TokenServerNotAllowed", "SecretNotFound"],
    ),
    "ca": (
        {**OWN, "smtp": {"host": "smtp.team.example", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}},
        ["SecretNotFound", "CaNotFound"],
    ),
    "ca-secret": (
        {
            "smtp": {
                "host": "smtp.team.example",
                "tls": {"caRef": {"kind": "Secret", "name": "ca", "key": "bundle.pem"}},
            },
            **{key: OWN[key] for key in ("auth", "from")},
        },
        ["SecretNotFound", "CaNotFound"],
    ),
    "client-certificate": (
        {**OWN, "smtp": {"host": "smtp.team.example", "tls": {"clientCertificateRef": {"name": "client"}}}},
        ["SecretNotFound", "ClientCertificateInvalid"],
    ),
    "address": ({**OWN, "from": {"address": "team@xn--zzzzzzzzzz99999"}}, ["Invalid", "SecretNotFound"]),
}
"""Specs that are broken otherwise than the tutorial's, under its host, and the reasons that may be met on the way."""

ELSEWHERE = {
    reasons.HOST_MISSING: "test_remedies_without_host",
    reasons.ENDPOINT_MISSING: "test_remedies_without_host",
    reasons.FROM_MISSING: "test_remedies_without_host",
    reasons.HOST_ACCOUNT_NOT_ALLOWED: "test_remedies_without_host",
    reasons.NAMESPACE_NOT_GRANTED: "contract/chart/test_confinement",
    reasons.CA_FORBIDDEN: "contract/chart/test_confinement",
    reasons.PROJECTION_NOT_GRANTED: "contract/chart/test_confinement",
    reasons.HOST_INVALID: "no object leads there: CRD and models agree (contract/crds/test_agreement)",
    reasons.NOT_PUBLISHED: "no object leads there: the operator cannot write in its own namespace",
    reasons.PROJECTION_PENDING: "mends itself: the garbage collector is at work, or the API server out of order",
    reasons.API_UNAVAILABLE: "mends itself: the API server is out of order",
}
"""Where a reason is mended that is not here, or why it is nowhere."""

EXAMPLES = tutorial.examples()


@pytest.fixture(scope="module")
def stage(
    cluster: cluster_kit.LocalCluster, system: str, module_operator: operators.Operator
) -> collections.abc.Iterator[worlds.World]:
    """Return a cluster with everything applied: each example twice, and what is broken otherwise."""
    world = worlds.World(cluster, system)
    wait.until(module_operator.is_ready, within_seconds=worlds.WITHIN, why="the operator is ready", poll_seconds=0.1)
    cluster.kubectl("apply", "-f", str(tutorial.folder()))
    again = [example.moved(example.path.read_text(encoding="utf-8"), namespace=_again(example)) for example in EXAMPLES]
    cluster.kubectl("apply", "-f", "-", input="---\n".join(again))
    for name, (spec, _) in MORE.items():
        world.namespace(f"more-{name}", mail="on")
        world.org(f"more-{name}", **spec)
    there = ("-n", "more-client-certificate", "client")
    cluster.kubectl("create", "secret", "generic", *there, "--from-literal=tls.crt=a", "--from-literal=tls.key=b")
    cluster.kubectl("annotate", "secret", *there, "mailtier.dev/endpoint=smtp.team.example")
    yield world
    cluster.kubectl("delete", "oes", "--all", "--all-namespaces", "--wait=false")
    cluster.kubectl("delete", "hes", "--all", "--wait=false")
    spaces = [space for example in EXAMPLES for space in (f"broken-{example.number}", _again(example))]
    cluster.kubectl("delete", "namespace", "--wait=false", *spaces, *(f"more-{name}" for name in MORE))


@pytest.fixture(scope="module")
def mended(
    stage: worlds.World, ca: certs.Authority, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[dict[str, futures.Future[list[str]]]]:
    """Return the reasons that a stranger met in each namespace; one is at work in each of them."""
    bundle = tmp_path_factory.mktemp("bundle") / "ca.pem"
    bundle.write_text(ca.ca_pem, encoding="ascii")

    client = ca.issue("team.example", file_name="client")

    def mend(namespace: str) -> list[str]:
        stranger = remedies.Stranger(
            world=stage, namespace=namespace, bundle=bundle, client=client, host_file=tutorial.host_file()
        )
        return stranger.mend()

    spaces = [*(f"broken-{example.number}" for example in EXAMPLES), *(f"more-{name}" for name in MORE)]
    with futures.ThreadPoolExecutor(max_workers=len(spaces)) as pool:
        yield {namespace: pool.submit(mend, namespace) for namespace in spaces}


@pytest.fixture(scope="module")
def solved(stage: worlds.World) -> dict[str, dict[str, typing.Any]]:
    """Return what the status of each example said before the page's solution was tried on it, by number."""
    said = {}
    for example in EXAMPLES:
        stage.until(lambda example=example: stage.reason(_again(example)), f"{_again(example)} has a status")
        said[example.number] = stage.conditions(_again(example))["Ready"]
        example.solve(stage.cluster, namespace=_again(example))
    return said


def _again(example: tutorial.Example) -> str:
    return f"again-{example.number}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_each_broken_example_is_mended_by_what_its_status_says(
    example: tutorial.Example, mended: dict[str, futures.Future[list[str]]]
) -> None:
    """Commands run as they are printed, and words followed as they are read, end in Ready."""
    first, *others = mended[f"broken-{example.number}"].result()
    assert first == example.reason
    assert "RecipientNotAllowed" in others or example.title != "two-faults"


@pytest.mark.parametrize("name", MORE)
def test_what_is_broken_otherwise_is_mended_likewise(name: str, mended: dict[str, futures.Future[list[str]]]) -> None:
    """What no example of the tutorial shows can be mended by its message too."""
    wanted = MORE[name][1]
    # Between two commands the operator may look, and say that what was created is not bound yet.
    met = [reason for reason in mended[f"more-{name}"].result() if reason != "SecretNotBound"]
    assert list(dict.fromkeys(met)) == wanted


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_tutorial_shows_what_the_status_says_and_what_mends_it(
    example: tutorial.Example, stage: worlds.World, solved: dict[str, dict[str, typing.Any]]
) -> None:
    """The page quotes the message word by word, and its solution ends in Ready."""
    namespace, said = _again(example), solved[example.number]
    assert (said["reason"], said["message"]) == (example.reason, example.moved(example.told, namespace=namespace))
    ready = stage.cluster.kubectl("wait", "-n", namespace, "oes/default", "--for=condition=Ready", "--timeout=90s")
    assert ready.returncode == 0


def test_every_reason_of_settings_is_mended_somewhere() -> None:
    """A reason that keeps Ready from being True comes with an example, or with why it has none."""
    met = {reasons.BY_NAME[example.reason] for example in EXAMPLES}
    met |= {reasons.FIELD_LOCKED, reasons.RECIPIENT_NOT_ALLOWED}
    met |= {reasons.BY_NAME[name] for _, names in MORE.values() for name in names}
    of_settings = {vocabulary.Condition.ACCEPTED, vocabulary.Condition.RESOLVED_REFS, vocabulary.Condition.READY}
    wanted = {
        reason
        for reason in reasons.ALL
        if reason.progress != vocabulary.Progress.NONE
        and of_settings & set(reason.conditions)
        and reason not in vars(reasons.notification).values()
    }
    assert wanted - met == set(ELSEWHERE)


def test_there_are_twelve() -> None:
    """As many as the page says, each with its file, its message and its solution."""
    assert [example.number for example in EXAMPLES] == [f"{number:02}" for number in range(1, 13)]
    assert all(example.path.exists() and example.told and example.commands for example in EXAMPLES)
