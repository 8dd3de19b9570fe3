"""Authorization: a caller who is not who they say, or may not what they ask."""

import contextlib
import dataclasses
import time

import pytest

from kit import arena as arena_kit
from kit import attacks, intake, proxy, sender, tenants, tokens
from mailtier.sender.intake.http import problems


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call(attacks.Attack):
    """A request to the intake that is not let in.

    Attributes:
        kind: Of the problem that it is answered with.
        headers: Beside the token.
    """

    kind: problems.ProblemKind
    headers: tuple[tuple[str, str], ...] = ()


def _call(name: str, story: str, kind: problems.ProblemKind, stopped_by: str, **headers: str) -> Call:
    pairs = tuple((key.replace("_", "-"), value) for key, value in headers.items())
    return Call(name=name, rules=("R3", "R13"), story=story, stopped_by=stopped_by, kind=kind, headers=pairs)


_REVIEW = "TokenReview for the audience mailtier"
_ACCESS = "SubjectAccessReview in the namespace of the request"

CALLS = (
    _call("no-token", "A caller sends none.", problems.NOT_AUTHENTICATED, _REVIEW),
    _call(
        "token-of-another-namespace",
        "An application of one namespace notifies in another.",
        problems.NOT_ALLOWED,
        _ACCESS,
    ),
    _call(
        "token-without-the-right", "A pod of the namespace that may not notify does so.", problems.NOT_ALLOWED, _ACCESS
    ),
    _call(
        "token-for-the-api-server", "A caller sends the token that every pod has.", problems.NOT_AUTHENTICATED, _REVIEW
    ),
    _call(
        "expired-token",
        "A caller sends a token that was good once, with a good signature.",
        problems.NOT_AUTHENTICATED,
        "its time is looked at first, and by TokenReview",
    ),
    _call("forged-token", "A caller signs a token with a key of its own.", problems.NOT_AUTHENTICATED, _REVIEW),
    _call("unsigned-token", "A caller says that the algorithm is none.", problems.NOT_AUTHENTICATED, _REVIEW),
    _call(
        "impersonation",
        "A caller names another user in the headers with which Kubernetes impersonates.",
        problems.NOT_ALLOWED,
        "who the caller is, the token alone says",
        Impersonate_User="system:admin",
        X_Remote_User="system:admin",
        X_Remote_Group="system:masters",
    ),
)

STORIES = (
    attacks.Story(
        name="while-the-api-server-is-away",
        test="test_nobody_is_let_in_while_the_api_server_is_away",
        rules=("R13",),
        story="Somebody keeps the API server busy, and calls while nobody can be checked.",
        stopped_by="authorization fails closed",
    ),
    attacks.Story(
        name="a-path-to-another-namespace",
        test="test_a_path_leads_into_no_other_namespace",
        rules=("R3", "R13"),
        story="The path goes on into another namespace with dots and encoded slashes, after the check of its own.",
        stopped_by="the path is taken apart once, and what was checked is what is used",
    ),
)

ATTACKS = (*CALLS, *STORIES)


@pytest.fixture(scope="module")
def victim(arena: arena_kit.Arena) -> arena_kit.Attacker:
    """Return an organization in whose name nobody else may notify."""
    attacker = arena.attacker()
    attacker.settings({})
    attacker.until_known()
    return attacker


def _token(name: str, victim: arena_kit.Attacker) -> str:
    arena, namespace = victim.arena, victim.namespace
    claims = {
        "aud": ["mailtier"],
        "exp": time.time() + 600,
        "iat": time.time() - 3600,
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:{namespace}:application",
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": "application", "uid": "x"}},
    }
    match name:
        case "token-of-another-namespace" | "impersonation":
            return arena.attacker().tenant.token
        case "token-without-the-right":
            return tenants.account(arena.cluster, namespace, "idle", allowed=False)
        case "token-for-the-api-server":
            return arena.cluster.token(namespace, "application")
        case "expired-token":
            return tokens.signed(claims | {"exp": time.time() - 60}, tokens.read_key(arena.cluster.signing_key))
        case "forged-token":
            return tokens.signed(claims, tokens.new_key())
        case "unsigned-token":
            return tokens.unsigned(claims, {"alg": "none"})
    return ""


@pytest.mark.parametrize("attack", CALLS, ids=str)
def test_a_caller_is_not_let_in(victim: arena_kit.Attacker, attack: Call) -> None:
    """The answer says why, nothing is queued, and the token is nowhere (R3, R13)."""
    arena = victim.arena
    token = _token(attack.name, victim)
    headers = dict(attack.headers) | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = arena.loop.run(
        arena.client.request("POST", victim.tenant.collection(), body=arena_kit.ALERT, headers=headers)
    )
    intake.require(answer, attack.kind)
    assert not token or token not in str(answer.document)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/namespaces/{own}/organizations/../../{victim}/organizations/default/notifications",
        "/v1/namespaces/{own}%2F..%2F{victim}/organizations/default/notifications",
        "/v1/namespaces/{own}/organizations/..%2F..%2F{victim}%2Forganizations%2Fdefault/notifications",
        "/v1/namespaces//organizations/default/notifications",
        "/v1/namespaces/*/organizations/default/notifications",
        "//v1/namespaces/{victim}/organizations/default/notifications",
    ],
)
def test_a_path_leads_into_no_other_namespace(victim: arena_kit.Attacker, path: str) -> None:
    """However a path is written, the namespace that is checked is the one that is used (R3, R13)."""
    arena = victim.arena
    other = arena.attacker()
    recipient = f"path@{victim.namespace}.example"
    answer = arena.loop.run(
        arena.client.request(
            "POST",
            path.format(own=other.namespace, victim=victim.namespace),
            body=arena_kit.ALERT | {"recipients": [recipient]},
            headers={"Authorization": f"Bearer {other.tenant.token}"},
        )
    )
    assert answer.status in {401, 403, 404}
    assert not [each for each in arena.relay.messages if recipient in each.rcpt_to]


def test_nobody_is_let_in_while_the_api_server_is_away(victim: arena_kit.Attacker) -> None:
    """Who cannot be checked is answered with 503, although the token is good (R13)."""
    arena = victim.arena
    between, beside = proxy.Proxy(arena.cluster), contextlib.AsyncExitStack()
    arena.loop.run(beside.enter_async_context(between.running()))
    with sender.Sender(
        arena.folder / "cut-off",
        kubeconfig=between.kubeconfig(arena.folder),
        namespace=arena_kit.SYSTEM,
        arguments=["--full-at=1.0"],
    ) as cut_off:
        client = intake.Client(cut_off.url, cut_off.tls)
        arena.loop.run(client.__aenter__())
        try:
            arena.loop.run(intake.until_known(client, victim.tenant))
            arena.loop.run(beside.aclose())
            fresh = tenants.token(arena.cluster, victim.namespace)
            answer = arena.loop.run(client.post(victim.tenant, arena_kit.ALERT, token=fresh))
        finally:
            arena.loop.run(client.__aexit__(None, None, None))
            arena.loop.run(beside.aclose())
    intake.require(answer, problems.UNAVAILABLE)
