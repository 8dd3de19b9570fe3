"""Settings for a provider, made from what is known of it and the few values that only their owner can choose."""

import dataclasses
from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.settings import tiers
from mailtier.settings.providers import catalogue, facts

SECRET: Final = "smtp-credentials"  # noqa: S105  # The name of a Secret.
"""What the Secret is called where nobody says otherwise."""

DISPLAY_NAME: Final = "Example Platform"
"""The name in From where nobody says otherwise."""

CLIENT_ID: Final = "00000000-0000-0000-0000-000000000000"
_RATE: Final = 600
"""Messages a minute that a draft asks for at most, however many the provider takes."""


class UnfitError(ValueError):
    """A value does not fit the provider; the sentence says what would.

    Attributes:
        field: Of the sample.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def choose(
    provider: facts.Provider, *, host: str | None = None, username: str | None = None, from_address: str | None = None
) -> facts.Sample:
    """Return the values of settings for a provider: those that were chosen, and what follows from them.

    A username that nobody chose is what everybody's is there, or the From address where an account sends as itself.

    Args:
        provider: Whose server it is.
        host: The server's name, normalized; None for the one of the provider's example.
        username: What the session authenticates as.
        from_address: What mail comes from.

    Raises:
        UnfitError: The server is not the provider's, or it takes no credentials.
    """
    sample = provider.sample
    if host is not None:
        belongs = catalogue.find(host)
        if belongs is not (provider if provider.hosts is not None else None):
            raise UnfitError("host", f"{host} is not a server of {provider.title}; {_servers(provider, belongs)}")
        sample = dataclasses.replace(sample, host=host)
    if username is not None and provider.username is None:
        raise UnfitError("username", f"{provider.title} takes no credentials; leave it out")
    if from_address is not None:
        domain = from_address.rpartition("@")[2]
        sample = dataclasses.replace(
            sample,
            from_address=from_address,
            helo_name=domain if sample.helo_name is not None else None,
        )
        is_login = provider.sender.value == facts.SenderRule.ACCOUNT and provider.username is not None
        if sample.username is not None and is_login:
            sample = dataclasses.replace(sample, username=from_address)
    return sample if username is None else dataclasses.replace(sample, username=username)


def spec(
    provider: facts.Provider,
    sample: facts.Sample | None = None,
    *,
    display_name: str = DISPLAY_NAME,
    secret: str = SECRET,
    is_organization: bool = False,
) -> dict[str, Any]:
    """Return a spec for a provider as YAML would hold it, with its port, its way to begin TLS, and its limits.

    Args:
        provider: Whose server it is.
        sample: The values that were chosen; those of the provider's example by default.
        display_name: The name in From.
        secret: The name of the Secret with the credentials.
        is_organization: Whether it is an organization's, which says so where it has no credentials.
    """
    chosen = sample or provider.sample
    mode = tls_mode(provider)
    smtp = {"host": chosen.host, "port": ports(provider, mode)[0], "tls": {"mode": mode.value}}
    found: dict[str, Any] = {"smtp": smtp}
    if chosen.username is not None:
        found["auth"] = _auth(provider, chosen, chosen.username, secret)
    elif is_organization:
        found["auth"] = {"mechanism": vocabulary.Mechanism.ANONYMOUS.value}
    found["from"] = {"address": chosen.from_address, "displayName": display_name}
    delivery = _delivery(provider, chosen)
    if delivery:
        found["delivery"] = delivery
    return found


def tls_mode(provider: facts.Provider) -> vocabulary.TlsMode:
    """Return how a draft begins TLS: by STARTTLS, unless the provider's own page speaks of the other way alone."""
    is_told = provider.implicit is not None and provider.implicit.verified
    if is_told and not provider.starttls.verified:
        return vocabulary.TlsMode.IMPLICIT
    return vocabulary.TlsMode.STARTTLS


def ports(provider: facts.Provider, mode: vocabulary.TlsMode) -> tuple[int, ...]:
    """Return the ports on which TLS is begun so, the usual one first."""
    known = provider.implicit if mode is vocabulary.TlsMode.IMPLICIT else provider.starttls
    return known.value if known is not None else ()


def _delivery(provider: facts.Provider, sample: facts.Sample) -> dict[str, Any]:
    limits, found = provider.limits, dict[str, Any]()
    if sample.helo_name is not None:
        found["heloName"] = sample.helo_name
    if limits.connections is not None:
        found["maxConnections"] = min(tiers.MAX_CONNECTIONS, limits.connections.value)
    most = limits.messages_per_connection
    if most is not None and most.value < tiers.MESSAGES_PER_CONNECTION:
        found["messagesPerConnection"] = most.value
    if limits.messages_per_minute is not None:
        found["endpointRatePerMinute"] = min(_RATE, limits.messages_per_minute.value)
    return found


def _auth(provider: facts.Provider, sample: facts.Sample, username: str, secret: str) -> dict[str, Any]:
    auth: dict[str, Any] = {"username": username}
    if sample.token_url is None or sample.grant is None or provider.oauth2 is None:
        if sample.mechanism is not None:
            auth["mechanism"] = sample.mechanism.value
        return {**auth, "passwordSecretRef": {"name": secret}}
    oauth2 = {
        "grantType": sample.grant.value,
        "tokenURL": sample.token_url,
        "clientID": CLIENT_ID,
        "scopes": list(dict(provider.oauth2.value.scopes)[sample.grant]),
        "secretRef": {"name": secret},
    }
    return {**auth, "oauth2": oauth2}


def _servers(provider: facts.Provider, belongs: facts.Provider | None) -> str:
    """Return what would be a server of a provider."""
    if provider.hosts is None:
        assert belongs is not None
        return f"it is one of {belongs.title}, {belongs.name}"
    aliases = provider.aliases.value if provider.aliases is not None else ()
    listed = " or ".join((*provider.hosts.value, *aliases)).replace("*", "NAME")
    return f"its servers are {listed}"
