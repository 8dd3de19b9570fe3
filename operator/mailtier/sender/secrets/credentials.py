"""Credentials, read from their Secrets: annotation and value from one read (R1, R3), kept for a few minutes.

To them belongs a client certificate, where the server is shown one: with another, it is somebody else who connects.
With OAuth2, the Secret holds what the token server is shown; `tokens` comes from there to a token.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from mailtier.api import names, reasons, secret, vocabulary
from mailtier.mail import classify, oauth, quoting
from mailtier.sender import clock
from mailtier.settings import binding, client_certificates, effective, passwords

_T = TypeVar("_T")

KEPT_SECONDS: Final = 300.0
"""While sessions are open, a Secret is read again after five minutes: whoever takes the consent back ends them."""

OPENING_SECONDS: Final = 30.0
"""R9: no session is opened with what was read longer ago."""


class CredentialsError(Exception):
    """There is no password to use; the text names the Secret and says what to do.

    Attributes:
        reason: As the condition ResolvedRefs gives it.
    """

    reason = reasons.API_UNAVAILABLE


class NotBoundError(CredentialsError):
    """The Secret's annotation does not list the endpoint."""

    reason = reasons.SECRET_NOT_BOUND


class SecretNotFoundError(CredentialsError):
    """The Secret does not exist."""

    reason = reasons.SECRET_NOT_FOUND


class SecretForbiddenError(CredentialsError):
    """The Secret may not be read."""

    reason = reasons.NAMESPACE_NOT_GRANTED


class KeyMissingError(CredentialsError):
    """The Secret has no such key, or its value is not fit for its purpose."""

    reason = reasons.SECRET_KEY_MISSING


class CertificateInvalidError(CredentialsError):
    """The Secret holds no client certificate that could be shown to a server now."""

    reason = reasons.CLIENT_CERTIFICATE_INVALID


class SecretUnavailableError(CredentialsError):
    """The apiserver did not answer."""

    reason = reasons.API_UNAVAILABLE


class SecretObject(Protocol):
    """A Secret as one read found it."""

    @property
    def uid(self) -> str:
        """Of the object."""

    @property
    def resource_version(self) -> str:
        """Changes whenever the Secret does."""

    @property
    def kind(self) -> str:
        """Its type."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the object."""

    @property
    def data(self) -> Mapping[str, secret.Hidden]:
        """Its values."""


class SecretReader(Protocol):
    """How a Secret is read; the adapter for the apiserver raises the errors of this module."""

    async def read(self, namespace: str, name: str) -> SecretObject:
        """Return a Secret.

        Raises:
            NotFoundError: There is none.
            ForbiddenError: We may not read Secrets there.
            UnavailableError: The apiserver did not answer.
        """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What identifies credentials in time: with other values it is another generation.

    Attributes:
        source: Namespace, name and key of the Secret; empty for Anonymous.
        version: uid and resourceVersion of the Secrets, as the values' own reads found them (`effective.joined`).
        oauth2: Where and how a token is asked for; None without OAuth2.
        certificate: Namespace and name of the Secret with the client certificate; empty without one.
    """

    mechanism: vocabulary.Mechanism
    identity: str
    source: tuple[str, ...] = ()
    version: str = ""
    oauth2: effective.OAuth2 | None = None
    certificate: tuple[str, ...] = ()
    _hash: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: each message looks several things up by its credentials.
        parts = (self.mechanism, self.identity, self.source, self.version, self.oauth2, self.certificate)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    @property
    def namespace(self) -> str:
        """Of the Secrets, which is one; "" without any."""
        return next((source[0] for source in (self.source, self.certificate) if source), "")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a session authenticates with.

    Attributes:
        password: With OAuth2 the access token, None until there is one; None for Anonymous.
        client: What asks for tokens; None without OAuth2.
        failure: Why there is no token.
        certificate: What the server is shown in the TLS handshake; None for nothing.
        known: What must not be quoted from a server that was sent these credentials (R7).
    """

    identity: str
    password: secret.Hidden | None
    generation: Generation
    client: oauth.OAuthClient | None = None
    failure: classify.Failure | None = None
    certificate: client_certificates.ClientCertificate | None = None
    known: quoting.KnownSecrets = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", quoting.KnownSecrets(self.secrets()))

    def secrets(self) -> tuple[str, ...]:
        """Return what of these credentials is secret, each as it is sent."""
        secrets = self.client.secrets() if self.client else ()
        if self.password is None:
            return secrets
        # The payload is one base64 text, in which neither part stands at the start.
        payload = (
            f"user={self.identity}\1auth=Bearer {self.password.reveal}\1\1"
            if self.client
            else f"\0{self.identity}\0{self.password.reveal}"
        )
        return (*secrets, self.password.reveal, payload)


ANONYMOUS: Final = Credentials(
    identity="", password=None, generation=Generation(mechanism=vocabulary.Mechanism.ANONYMOUS, identity="")
)


@dataclasses.dataclass(slots=True, eq=False)
class Kept:
    """Credentials in memory.

    Attributes:
        is_in_force: Whether they may be used still, as long as they are young enough.
        hints: The versions that made us read. While the operator publishes a new one, organizations that share
            the Secret name different versions for a while; each is worth one read, not one for every message.
    """

    credentials: Credentials
    hints: frozenset[str]
    read_at: float
    is_in_force: bool = True


_Key = tuple[effective.Auth, effective.Endpoint]


class CredentialStore:
    """Reads credentials when they are needed and when the operator has seen a new version; keeps them for minutes."""

    def __init__(self, reader: SecretReader, time: clock.Clock) -> None:
        self._reader = reader
        self._clock = time
        self._kept: dict[_Key, Kept] = {}

    def __len__(self) -> int:
        """Return how many passwords are in memory."""
        return len(self._kept)

    async def get(
        self, auth: effective.Auth, endpoint: effective.Endpoint, *, max_age_seconds: float = KEPT_SECONDS
    ) -> Credentials:
        """Return the credentials of effective settings.

        Args:
            auth: From the effective settings.
            endpoint: Where they are to be sent; the Secret must name it.
            max_age_seconds: How old the last read may be; 0 reads now.

        Raises:
            CredentialsError: They cannot be used; the class says why.
        """
        if auth.secret is None and auth.certificate is None:
            return ANONYMOUS
        # A hint, and no part of what the credentials are.
        key = (_unversioned(auth), endpoint)
        kept = self._kept.get(key)
        now = self._clock.monotonic()
        if kept and auth.version in kept.hints and now - kept.read_at < max_age_seconds:
            return kept.credentials
        # What cannot be read any more may not be used any more, so it is forgotten before the read.
        self._kept.pop(key, None)
        if kept is not None:
            kept.is_in_force = False
        found = await self._read(auth, endpoint)
        is_same = kept is not None and kept.credentials.generation == found.generation
        hints = {auth.version, found.generation.version} | (kept.hints if kept and is_same else frozenset())
        if (other := self._kept.get(key)) is not None:
            other.is_in_force = False
        self._kept[key] = Kept(credentials=found, hints=frozenset(hints), read_at=self._clock.monotonic())
        return found

    def kept(self, auth: effective.Auth, endpoint: effective.Endpoint) -> Kept | None:
        """Return the credentials of effective settings that are in memory, as they were read last."""
        return self._kept.get((_unversioned(auth), endpoint))

    def may_use(self, kept: Kept, version: str) -> bool:
        """Return whether credentials in memory are those that `get` would return for a version of their Secrets."""
        is_young = self._clock.monotonic() - kept.read_at < KEPT_SECONDS
        return kept.is_in_force and is_young and version in kept.hints

    def forget_old(self) -> None:
        """Drop passwords that were read too long ago to be used again."""
        oldest = self._clock.monotonic() - KEPT_SECONDS
        for key in [key for key, kept in self._kept.items() if kept.read_at <= oldest]:
            self._kept.pop(key).is_in_force = False

    async def _read(self, auth: effective.Auth, endpoint: effective.Endpoint) -> Credentials:
        found = ANONYMOUS if auth.secret is None else await self._read_login(auth, auth.secret, endpoint)
        if auth.certificate is None:
            return found
        certificate, version = await self._read_certificate(auth.certificate, endpoint)
        generation = dataclasses.replace(
            found.generation,
            version=effective.joined(found.generation.version, version),
            certificate=(auth.certificate.namespace, auth.certificate.name),
        )
        return dataclasses.replace(found, certificate=certificate, generation=generation)

    async def _read_certificate(
        self, reference: effective.CertificateReference, endpoint: effective.Endpoint
    ) -> tuple[client_certificates.ClientCertificate, str]:
        """Return a client certificate, and the version of its Secret."""
        found = await self._reader.read(reference.namespace, reference.name)
        _require_bound(reference, found, binding.certificate_servers(endpoint), is_certificate=True)
        chain, private_key = (found.data.get(key) for key in (names.CERTIFICATE_KEY, names.CERTIFICATE_KEY_KEY))
        try:
            # In a thread, as with OAuth2.
            certificate = await asyncio.to_thread(
                client_certificates.parse,
                chain.raw if chain else None,
                private_key.raw if private_key else None,
                kind=found.kind,
                now=self._clock.wall(),
            )
        except client_certificates.ClientCertificateError as error:
            raise CertificateInvalidError(
                f"Secret {reference.namespace}/{reference.name}, key {error.key}: {error}"
            ) from None
        return certificate, f"{found.uid}/{found.resource_version}"

    async def _read_login(
        self, auth: effective.Auth, reference: effective.SecretReference, endpoint: effective.Endpoint
    ) -> Credentials:
        label = f"Secret {reference.namespace}/{reference.name}"
        found = await self._reader.read(reference.namespace, reference.name)
        _require_bound(reference, found, binding.servers(endpoint, auth))
        client = password = None
        if auth.oauth2 is not None:
            # In a thread: to check a private key takes a third of a second, in which others' mail shall not wait.
            client = await asyncio.to_thread(_client, auth.oauth2, found.data, label)
        else:
            password = _parsed(found.data, reference.key, passwords.parse, label)
        return Credentials(
            identity=auth.identity,
            password=password,
            client=client,
            generation=Generation(
                mechanism=auth.mechanism,
                identity=auth.identity,
                source=(reference.namespace, reference.name, reference.key),
                version=f"{found.uid}/{found.resource_version}",
                oauth2=auth.oauth2,
            ),
        )


def _unversioned(auth: effective.Auth) -> effective.Auth:
    """Return credentials by what they refer to, whatever is there now."""
    secret_, certificate = auth.secret, auth.certificate
    return dataclasses.replace(
        auth,
        secret=secret_ and dataclasses.replace(secret_, version=""),
        certificate=certificate and dataclasses.replace(certificate, version=""),
    )


def _require_bound(
    reference: effective.SecretReference | effective.CertificateReference,
    found: SecretObject,
    wanted: Sequence[binding.BoundServer],
    *,
    is_certificate: bool = False,
) -> None:
    """Return when what a Secret holds may be sent where it would be.

    Raises:
        NotBoundError: Its owner has not agreed.
    """
    refused = binding.refusal(
        namespace=reference.namespace,
        name=reference.name,
        annotation=found.annotations.get(names.ENDPOINT_ANNOTATION),
        wanted=wanted,
        is_certificate=is_certificate,
    )
    if refused is not None:
        raise NotBoundError(refused)


def _client(oauth2: effective.OAuth2, data: Mapping[str, secret.Hidden], label: str) -> oauth.OAuthClient:
    """Return what asks for tokens, with all that the Secret holds for it."""
    signing_key = client_secret = refresh_token = None
    if oauth2.private_key_key is not None:
        private = _parsed(data, oauth2.private_key_key, passwords.parse_private_key, label)
        pem = data[oauth2.private_key_key].raw
        signing_key = oauth.SigningKey(
            private=private, key_id=oauth2.key_id, certificate=oauth.certificate_of(pem, private)
        )
    if oauth2.client_secret_key is not None:
        client_secret = _parsed(data, oauth2.client_secret_key, passwords.parse, label)
    if oauth2.refresh_token_key is not None:
        refresh_token = _parsed(data, oauth2.refresh_token_key, passwords.parse, label)
    return oauth.OAuthClient(
        url=oauth2.server.url,
        client_id=oauth2.client_id,
        grant_type=oauth2.grant_type,
        scopes=oauth2.scopes,
        client_secret=client_secret,
        signing_key=signing_key,
        refresh_token=refresh_token,
    )


def _parsed(data: Mapping[str, secret.Hidden], key: str, parse: Callable[[bytes | None], _T], label: str) -> _T:
    """Return the value under a key of a Secret, fit for its purpose.

    Raises:
        KeyMissingError: It is absent, or unfit.
    """
    value = data.get(key)
    try:
        return parse(value.raw if value else None)
    except passwords.PasswordError as error:
        raise KeyMissingError(f"{label}, key {key}: {error}") from None
