"""The host's server: who names it, whose logins are trusted there, and whose account the host's is.

Its fallback is the host's server as well: whatever is said here holds for both.

Everything here goes by names. That another name leads to the same server only DNS tells, and so only the sender
(`sender.smtp.relays`); what then holds is decided here as well, and published with the effective settings.
"""

import dataclasses
import unicodedata
from typing import Final

from mailtier.api import groups, policies, settings, vocabulary
from mailtier.settings import binding, effective, endpoints
from mailtier.settings.providers import catalogue

_ANONYMOUS: Final = vocabulary.Mechanism.ANONYMOUS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostServer:
    """One of the host's servers.

    Attributes:
        name: Or address, normalized.
        auth: What the host authenticates with there; None where it says nothing, and so is anonymous.
    """

    name: str
    auth: groups.Auth | None


def servers(host: settings.HostSpec | None) -> tuple[HostServer, ...]:
    """Return the host's servers: none without settings, one, or two with a fallback."""
    if host is None or host.smtp is None:
        return ()
    first = HostServer(name=binding.normalize_host(host.smtp.host), auth=host.auth)
    fallback = host.smtp.fallback
    if fallback is None:
        return (first,)
    return first, HostServer(name=binding.normalize_host(fallback.host), auth=fallback.auth or host.auth)


def is_named(host: settings.HostSpec | None, named: str) -> bool:
    """Return whether a server is the host's, on whichever port and by whatever mechanism it is used.

    Args:
        host: The host's settings; None where there are none.
        named: The server's name or address, normalized.
    """
    return any(endpoints.are_same_host(server.name, named) for server in servers(host))


def shares_accounts(server: HostServer, named: str) -> bool:
    """Return whether a login at a server may be a login at the host's: it is the same, or another name of its provider.

    A provider whose names differ by region or customer, so that they are listed by a pattern, keeps accounts apart.

    Args:
        server: One of the host's.
        named: The other server's name or address, normalized.
    """
    provider = catalogue.find(server.name)
    is_one = (
        provider is not None and provider.hosts is not None and not any("*" in name for name in provider.hosts.value)
    )
    return endpoints.are_same_host(server.name, named) or (is_one and catalogue.find(named) is provider)


def is_trusted(host: settings.HostSpec | None, auth: effective.Auth | None, *, named: str | None = None) -> bool:
    """Return whether a login may choose From on the host's server, because the server itself keeps it to its own.

    Then it is the account of somebody else on a server that both use: nothing of the host's is in it.

    Args:
        host: The host's settings; None where there are none.
        auth: What an organization authenticates with; None where it says nothing.
        named: The server's name or address, normalized; None where it may be any of the host's.
    """
    known = servers(host)
    if host is None or not known or auth is None:
        return False
    if auth.origin != vocabulary.Origin.ORG or auth.mechanism == _ANONYMOUS:
        return False
    match own_logins(host.policy):
        case vocabulary.OwnLogins.TRUST:
            return True
        case vocabulary.OwnLogins.ENFORCE:
            return False
        case vocabulary.OwnLogins.KNOWN_PROVIDERS:
            there = [each for each in known if named is not None and endpoints.are_same_host(each.name, named)]
            providers = [catalogue.find(each.name) for each in there or known]
            return all(
                provider is not None and provider.binds_from.value and provider.binds_from.verified
                for provider in providers
            )


def own_logins(policy: policies.Policy | None) -> vocabulary.OwnLogins:
    """Return what the host's policy says of logins that organizations bring to its server."""
    stated = policy.from_.own_logins if policy is not None and policy.from_ is not None else None
    return stated or vocabulary.OwnLogins.KNOWN_PROVIDERS


def is_account(server: HostServer, identity: str, host_identity: str) -> bool:
    r"""Return whether a server might take a login for the host's own account.

    `DOMAIN\user`, `user@domain`, `user%domain` and `user` are one, because a server may take each of them for the same
    account; two domains of the same form tell two accounts apart. So are spellings that a server may prepare to one:
    RFC 4616 section 2 asks for SASLprep, which maps full width and leaves out what is not seen (RFC 4013 section 2),
    and directories compare without case and accents. What binds a password is compared the other way, by ASCII alone.

    Args:
        server: One of the host's.
        identity: The login, rendered.
        host_identity: The host's there.
    """
    if not host_identity:
        return False
    provider = catalogue.find(server.name)
    shared = provider.shared_usernames if provider is not None else None
    if shared is not None and identity in shared.value:
        return False
    (user, down_level, domain), (host_user, host_down_level, host_domain) = _parts(identity), _parts(host_identity)
    if user != host_user:
        return False
    return all(
        not one or not other or one == other for one, other in ((down_level, host_down_level), (domain, host_domain))
    )


def _parts(identity: str) -> tuple[str, str, str]:
    """Return user, NetBIOS domain and DNS domain of a login, as loosely as any server reads it; "" for none."""
    folded = _fold(identity)
    down_level, has_down_level, rest = folded.partition("\\")
    if not has_down_level:
        down_level, rest = "", folded
    user, at, domain = rest.partition("@")
    if not at:
        user, _, domain = rest.partition("%")
    return user.strip(), down_level.strip(), domain.strip().removesuffix(".")


def _fold(written: str) -> str:
    """Return a name without case, width, accents, and whatever nobody sees."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", written).casefold())
    return "".join(sign for sign in decomposed if unicodedata.category(sign) not in _UNSEEN).casefold()


_UNSEEN: Final = frozenset({"Mn", "Me", "Cf", "Cc"})
"""General categories: marks on letters, format characters (zero width, soft hyphen, direction), control characters."""
