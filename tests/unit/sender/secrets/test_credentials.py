"""Passwords come from the Secret that names the endpoint, and are not read for every message."""

import dataclasses
import pathlib

import pytest

from kit import certs, oauth, sending
from mailtier.api import names, secret, vocabulary
from mailtier.sender.secrets import credentials
from mailtier.settings import binding, effective, observed, references

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.HOST,
    is_host_s=True,
)


@pytest.fixture
def secrets() -> sending.Secrets:
    """Return Secrets in memory."""
    return sending.Secrets()


@pytest.fixture
def clock() -> sending.Clock:
    """Return a clock."""
    return sending.Clock()


@pytest.fixture
def store(secrets: sending.Secrets, clock: sending.Clock) -> credentials.CredentialStore:
    """Return the store under test."""
    return credentials.CredentialStore(secrets, clock.as_clock())


async def test_a_password_is_read_once_for_many_messages(
    store: credentials.CredentialStore, secrets: sending.Secrets, clock: sending.Clock
) -> None:
    """While sessions are open one read serves all for five minutes; to open one, half a minute at most (R9)."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com:587"))
    for _ in range(10):
        found = await store.get(auth, _ENDPOINT)
    assert found.password is not None
    assert found.password.reveal == "pw"
    assert secrets.reads == 1
    clock.skipped_seconds += 31
    await store.get(auth, _ENDPOINT)
    assert secrets.reads == 1
    await store.get(auth, _ENDPOINT, max_age_seconds=credentials.OPENING_SECONDS)
    assert secrets.reads == 2
    clock.skipped_seconds += 301
    await store.get(auth, _ENDPOINT)
    assert secrets.reads == 3


async def test_a_new_version_is_read_at_once(store: credentials.CredentialStore, secrets: sending.Secrets) -> None:
    """When the operator publishes another version, the password is read, and its generation is another."""
    before = await store.get(sending.login(secrets.put("ns", "smtp", "old", endpoint="smtp.example.com")), _ENDPOINT)
    after = await store.get(sending.login(secrets.put("ns", "smtp", "new", endpoint="smtp.example.com")), _ENDPOINT)
    assert before.generation != after.generation


async def test_versions_that_arrive_one_by_one_are_not_read_for_every_message(
    store: credentials.CredentialStore, secrets: sending.Secrets
) -> None:
    """Organizations that name an old and a new version in turn cost one read each, not one a message."""
    old = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com"))
    new = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com"))
    for _ in range(10):
        await store.get(old, _ENDPOINT)
        await store.get(new, _ENDPOINT)
    assert secrets.reads <= 2


@pytest.mark.parametrize("annotation", ["", "other.example.com", "smtp.example.com:25"])
async def test_an_endpoint_that_is_not_listed_gets_no_password(
    store: credentials.CredentialStore, secrets: sending.Secrets, annotation: str
) -> None:
    """The annotation is looked at on the read that yields the password (R1, R3); the way to agree is told."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint=annotation))
    with pytest.raises(credentials.NotBoundError) as caught:
        await store.get(auth, _ENDPOINT)
    entries = ",".join(filter(None, (annotation, "smtp.example.com:587")))
    command = f"kubectl annotate secret -n ns smtp 'mailtier.dev/endpoint={entries}' --overwrite"
    assert f"`{command}`" in str(caught.value)


async def test_a_secret_for_tokens_gives_no_password(
    store: credentials.CredentialStore, secrets: sending.Secrets
) -> None:
    """To list the endpoint would not help where the Secret is one that access tokens are had with (R3)."""
    annotation = "smtp.example.com:587,https://login.example.com"
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint=annotation))
    with pytest.raises(credentials.NotBoundError, match="ns/smtp is for access tokens"):
        await store.get(auth, _ENDPOINT)


@pytest.mark.parametrize("annotation", ["", "other.example.com", "smtp.example.com:25", "https://login.example.com"])
async def test_operator_and_sender_refuse_with_one_sentence(
    store: credentials.CredentialStore, secrets: sending.Secrets, annotation: str
) -> None:
    """What the sender says of a Secret that is not bound, the operator writes into a status word for word (R1, R3)."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint=annotation))
    with pytest.raises(credentials.NotBoundError) as caught:
        await store.get(auth, _ENDPOINT)
    key = observed.SecretKey(purpose=observed.Purpose.PASSWORD, name="password")
    finding = references.secret_not_bound(
        references.Secret(
            need=observed.SecretNeed(namespace="ns", name="smtp", keys=(key,)),
            read=observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="u/1", annotation=annotation),
            wanted=binding.servers(_ENDPOINT, auth),
        )
    )
    assert finding is not None
    assert finding.message == str(caught.value)


async def test_a_binding_that_was_taken_back_counts_at_the_next_read(
    store: credentials.CredentialStore, secrets: sending.Secrets
) -> None:
    """What may not be used any more is not used from memory after a read said so (R3)."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com"))
    await store.get(auth, _ENDPOINT)
    secrets.put("ns", "smtp", "pw", endpoint="")
    with pytest.raises(credentials.NotBoundError):
        await store.get(auth, _ENDPOINT, max_age_seconds=0)
    with pytest.raises(credentials.NotBoundError):
        await store.get(auth, _ENDPOINT)


async def test_a_secret_that_is_missing_says_so(store: credentials.CredentialStore, secrets: sending.Secrets) -> None:
    """Without the Secret, or without its key, the class of the error tells which."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com"))
    assert auth.secret is not None
    other_key = dataclasses.replace(auth, secret=dataclasses.replace(auth.secret, key="other"))
    with pytest.raises(credentials.KeyMissingError):
        await store.get(other_key, _ENDPOINT)
    secrets.remove("ns", "smtp")
    with pytest.raises(credentials.SecretNotFoundError):
        await store.get(auth, _ENDPOINT)


async def test_anonymous_reads_nothing(store: credentials.CredentialStore, secrets: sending.Secrets) -> None:
    """Anonymous needs no Secret."""
    assert await store.get(sending.ANONYMOUS, _ENDPOINT) is credentials.ANONYMOUS
    assert secrets.reads == 0


async def test_old_passwords_are_forgotten(
    store: credentials.CredentialStore, secrets: sending.Secrets, clock: sending.Clock
) -> None:
    """A password that could not be used again without a read does not stay in memory."""
    auth = sending.login(secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com"))
    await store.get(auth, _ENDPOINT)
    clock.skipped_seconds += 301
    store.forget_old()
    assert len(store) == 0


async def test_a_password_is_in_no_repr(store: credentials.CredentialStore, secrets: sending.Secrets) -> None:
    """Credentials show neither password nor payload (R1)."""
    found = await store.get(sending.login(secrets.put("ns", "smtp", "hunter2", endpoint="smtp.example.com")), _ENDPOINT)
    assert "hunter2" not in repr(found)


_OAUTH2 = effective.OAuth2(
    grant_type=vocabulary.GrantType.REFRESH_TOKEN,
    server=effective.TokenServer(
        url="https://login.example.com/token", host="login.example.com", port=443, addresses=sending.PUBLIC
    ),
    client_id="app",
    client_authentication=vocabulary.ClientAuthentication.PRIVATE_KEY_JWT,
    key_id="2026",
    scopes=("mail",),
    client_secret_key=None,
    private_key_key=names.PRIVATE_KEY_KEY,
    refresh_token_key=names.REFRESH_TOKEN_KEY,
)
_KEY = oauth.new_key()
_VALUES = {
    names.PRIVATE_KEY_KEY: oauth.pem(_KEY, oauth.certificate_for(_KEY)),
    names.REFRESH_TOKEN_KEY: "1//refresh",
}
_BOUND = "smtp.example.com:587, https://login.example.com"


async def test_a_client_is_read_whole(store: credentials.CredentialStore, secrets: sending.Secrets) -> None:
    """All that the token server is shown comes from one read of the Secret, with the annotation (R1)."""
    auth = sending.login(secrets.put_values("ns", "smtp", _VALUES, endpoint=_BOUND), oauth2=_OAUTH2)
    found = await store.get(auth, _ENDPOINT)
    assert secrets.reads == 1
    assert found.password is None
    assert found.client is not None
    assert found.client.signing_key is not None
    assert found.client.signing_key.certificate is not None
    assert found.client.refresh_token is not None
    assert found.client.refresh_token.reveal == "1//refresh"
    assert "1//refresh" in found.secrets()
    assert "1//refresh" not in repr(found)


@pytest.mark.parametrize("annotation", ["smtp.example.com", "login.example.com", "smtp.example.com, example.com", ""])
async def test_both_servers_have_to_be_listed(
    store: credentials.CredentialStore, secrets: sending.Secrets, annotation: str
) -> None:
    """Consent to one of SMTP server and token server is none for the other (R1, R3)."""
    auth = sending.login(secrets.put_values("ns", "smtp", _VALUES, endpoint=annotation), oauth2=_OAUTH2)
    with pytest.raises(credentials.NotBoundError):
        await store.get(auth, _ENDPOINT)


@pytest.mark.parametrize("key", list(_VALUES))
@pytest.mark.parametrize("value", [None, "", "no key,\nno token\n"])
async def test_each_value_has_to_be_fit(
    store: credentials.CredentialStore, secrets: sending.Secrets, key: str, value: str | None
) -> None:
    """What is missing or unfit is named by its key, and not shown (R1)."""
    values = {other: text for other, text in _VALUES.items() if other != key}
    if value is not None:
        values[key] = value
    auth = sending.login(secrets.put_values("ns", "smtp", values, endpoint=_BOUND), oauth2=_OAUTH2)
    with pytest.raises(credentials.KeyMissingError, match=f"ns/smtp, key {key}") as caught:
        await store.get(auth, _ENDPOINT)
    assert not value or value not in str(caught.value)


async def test_another_client_is_another_generation(
    store: credentials.CredentialStore, secrets: sending.Secrets
) -> None:
    """What was learned of credentials does not hold for those that the settings name now (R12)."""
    reference = secrets.put_values("ns", "smtp", _VALUES, endpoint=_BOUND)
    one = await store.get(sending.login(reference, oauth2=_OAUTH2), _ENDPOINT)
    for changed in (
        dataclasses.replace(_OAUTH2, client_id="other"),
        dataclasses.replace(_OAUTH2, scopes=("mail", "more")),
        dataclasses.replace(_OAUTH2, server=dataclasses.replace(_OAUTH2.server, url="https://login.example.com/2")),
    ):
        other = await store.get(sending.login(reference, oauth2=changed), _ENDPOINT)
        assert other.generation != one.generation


async def test_a_token_and_its_payload_are_secrets(
    store: credentials.CredentialStore, secrets: sending.Secrets
) -> None:
    """With a token, a server may quote neither it nor the payload that carried it (R1, R7)."""
    auth = sending.login(secrets.put_values("ns", "smtp", _VALUES, endpoint=_BOUND), oauth2=_OAUTH2)
    found = dataclasses.replace(await store.get(auth, _ENDPOINT), password=secret.Hidden("an-access-token"))
    assert {"an-access-token", "user=robot\1auth=Bearer an-access-token\1\1"} <= set(found.secrets())


@pytest.fixture
def leaf(tmp_path: pathlib.Path) -> certs.Leaf:
    """Return a client's certificate."""
    return certs.Authority(tmp_path).issue("client.example.com")


async def test_a_certificate_belongs_to_the_generation(
    store: credentials.CredentialStore, secrets: sending.Secrets, leaf: certs.Leaf
) -> None:
    """With another one it is another generation, whose sessions are its own; it has the versions of both Secrets."""
    password = secrets.put("ns", "smtp", "pw", endpoint="smtp.example.com")
    shown = secrets.put_certificate("ns", "client", leaf, endpoint="smtp.example.com:587")
    auth = dataclasses.replace(sending.login(password), certificate=shown)
    found = await store.get(auth, _ENDPOINT)
    assert found.certificate is not None
    assert found.generation.version == auth.version == f"{password.version} {shown.version}"
    assert found.generation.certificate == ("ns", "client")
    assert await store.get(auth, _ENDPOINT) is found
    assert secrets.reads == 2
    renewed = secrets.put_certificate("ns", "client", leaf, endpoint="smtp.example.com:587")
    after = await store.get(dataclasses.replace(auth, certificate=renewed), _ENDPOINT)
    assert after.generation != found.generation


async def test_a_certificate_alone_is_no_login(
    store: credentials.CredentialStore, secrets: sending.Secrets, leaf: certs.Leaf
) -> None:
    """Nothing is authenticated with, and yet it is not what goes without a certificate."""
    shown = secrets.put_certificate("ns", "client", leaf, endpoint="smtp.example.com")
    found = await store.get(dataclasses.replace(sending.ANONYMOUS, certificate=shown), _ENDPOINT)
    assert found.password is None
    assert found.generation != credentials.ANONYMOUS.generation
    assert (found.generation.source, found.generation.namespace) == ((), "ns")
    assert leaf.key_path.read_text() not in repr(found)


@pytest.mark.parametrize(
    ("annotation", "error", "told"),
    [
        ("", credentials.NotBoundError, "if its certificate may be sent there, run"),
        ("smtp.example.com:25", credentials.NotBoundError, "does not list smtp.example.com:587"),
        ("smtp.example.com", credentials.CertificateInvalidError, "Secret ns/client, key tls.crt: the key does not"),
    ],
)
async def test_a_certificate_that_cannot_be_shown(
    store: credentials.CredentialStore,
    secrets: sending.Secrets,
    annotation: str,
    error: type[credentials.CredentialsError],
    told: str,
) -> None:
    """The annotation is looked at on the key's own read (R1, R3), and what is there before it is used."""
    put = secrets.put_values("ns", "client", {}, endpoint=annotation, kind=names.TLS_SECRET_TYPE)
    shown = effective.CertificateReference(namespace="ns", name="client", version=put.version)
    with pytest.raises(error, match=told):
        await store.get(dataclasses.replace(sending.ANONYMOUS, certificate=shown), _ENDPOINT)
