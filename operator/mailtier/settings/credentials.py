"""Which credentials an organization's mail is sent with: its own, or the host's together with the host's endpoint.

`auth` is one atomic group, and the client certificate of the group `smtp` goes with it: it too says who connects. What
is secret in them is named here, and read elsewhere.
"""

from collections.abc import Mapping
from typing import Final
from urllib import parse

from mailtier.api import groups, names, oauth, policies, settings, vocabulary
from mailtier.settings import binding, effective, endpoints, ledgers, observed

_HOST, _ORG, _DEFAULT = vocabulary.Origin.HOST, vocabulary.Origin.ORG, vocabulary.Origin.DEFAULT
_HTTPS_PORT: Final = 443
_CERTIFICATE_KEYS: Final = (
    observed.SecretKey(purpose=observed.Purpose.CERTIFICATE, name=names.CERTIFICATE_KEY),
    observed.SecretKey(purpose=observed.Purpose.CERTIFICATE_KEY, name=names.CERTIFICATE_KEY_KEY),
)


def choose(
    ledger: ledgers.Ledger,
    host: settings.HostSpec | None,
    org: settings.OrgSpec,
    *,
    owner: vocabulary.Origin,
    namespaces: Mapping[vocabulary.Origin, str],
) -> tuple[effective.Auth | None, observed.SecretNeed | None]:
    """Return the effective credentials, and what has to be read for them.

    Args:
        ledger: Takes down where each value came from.
        host: The host's settings; None where there are none.
        org: The organization's.
        owner: Whose the effective endpoint is.
        namespaces: Where the references of each tier live.

    Returns:
        No credentials where the organization names an endpoint of its own and says nothing of them.
    """
    if org.auth is not None:
        group: groups.Auth | None = org.auth
        origin = _ORG
    elif owner == _ORG:
        # The host's credentials are never inherited without the host's whole endpoint.
        return None, None
    else:
        group = host.auth if host else None
        origin = _HOST
    if group is None or group.mechanism == vocabulary.Mechanism.ANONYMOUS:
        ledger.own("auth.mechanism", origin, group, default=None)
        anonymous = effective.Auth(
            mechanism=vocabulary.Mechanism.ANONYMOUS,
            identity="",
            secret=None,
            origin=_DEFAULT if group is None else origin,
        )
        return anonymous, None
    usual = vocabulary.Mechanism.PLAIN if group.oauth2 is None else vocabulary.Mechanism.XOAUTH2
    mechanism = ledger.own("auth.mechanism", origin, group.mechanism, default=usual)
    # The schema demands it for every mechanism but Anonymous.
    assert group.username is not None
    ledger.own("auth.username", origin, group.username, default="")
    oauth2 = None
    if group.oauth2 is not None:
        policy = host.policy if host else None
        oauth2 = _oauth2(ledger, group.oauth2, origin, policy)
        need = _oauth2_need(group.oauth2, oauth2, namespaces[origin])
    else:
        need = _password_need(ledger, group, origin, namespaces[origin])
    auth = effective.Auth(
        mechanism=mechanism,
        identity=render_identity(group.username, group.domain, group.username_format),
        secret=effective.SecretReference(
            namespace=need.namespace,
            name=need.name,
            key=need.keys[0].name if oauth2 is None else "",
            version="",
        ),
        origin=origin,
        oauth2=oauth2,
    )
    return auth, need


def choose_certificate(
    ledger: ledgers.Ledger,
    smtp: groups.Smtp,
    org: settings.OrgSpec,
    auth: effective.Auth | None,
    *,
    owner: vocabulary.Origin,
    namespaces: Mapping[vocabulary.Origin, str],
) -> observed.SecretNeed | None:
    """Return the Secret of the certificate that the server is shown; None where it is shown none.

    It is the endpoint's owner's. The host's is not shown beside a login that an organization brings, whatever that is:
    a server may take its mail for the host's because of the certificate (R3).

    Args:
        ledger: Takes down where it came from.
        smtp: The group in use.
        org: The organization's settings.
        auth: The effective credentials; None where they are missing, so that nothing is connected to.
        owner: Whose the group is.
        namespaces: Where the references of each tier live.
    """
    reference = smtp.tls.client_certificate_ref if smtp.tls else None
    if auth is None or (owner == _HOST and org.auth is not None):
        reference = None
    ledger.own("smtp.tls.clientCertificateRef", owner, reference, default=None)
    if reference is None:
        return None
    return observed.SecretNeed(namespace=namespaces[owner], name=reference.name, keys=_CERTIFICATE_KEYS)


def render_identity(username: str, domain: str | None, form: vocabulary.UsernameFormat | None) -> str:
    r"""Return the SASL authentication identity: `user`, `DOMAIN\user` or `user@domain`."""
    match form:
        case vocabulary.UsernameFormat.DOWN_LEVEL:
            return f"{domain}\\{username}"
        case vocabulary.UsernameFormat.USER_PRINCIPAL_NAME:
            return f"{username}@{domain}"
        case _:
            return username


def _password_need(
    ledger: ledgers.Ledger, group: groups.Auth, origin: vocabulary.Origin, namespace: str
) -> observed.SecretNeed:
    reference = group.password_secret_ref
    # The schema demands it wherever there is no oauth2.
    assert reference is not None
    ledger.own("auth.passwordSecretRef", origin, reference, default=None)
    key = observed.SecretKey(purpose=observed.Purpose.PASSWORD, name=reference.key or names.PASSWORD_KEY)
    return observed.SecretNeed(namespace=namespace, name=reference.name, keys=(key,))


def _oauth2(
    ledger: ledgers.Ledger, group: oauth.OAuth2, origin: vocabulary.Origin, policy: policies.Policy | None
) -> effective.OAuth2:
    path = "auth.oauth2"
    url = parse.urlsplit(group.token_url)
    assert url.hostname is not None
    host, port = binding.normalize_host(url.hostname), url.port or _HTTPS_PORT
    grant = ledger.own(f"{path}.grantType", origin, group.grant_type, default=vocabulary.GrantType.CLIENT_CREDENTIALS)
    method = ledger.own(
        f"{path}.clientAuthentication",
        origin,
        group.client_authentication,
        default=vocabulary.ClientAuthentication.CLIENT_SECRET,
    )
    ledger.own(f"{path}.secretRef", origin, group.secret_ref, default=None)
    is_jwt = method == vocabulary.ClientAuthentication.PRIVATE_KEY_JWT
    is_secret = method == vocabulary.ClientAuthentication.CLIENT_SECRET
    reference = group.secret_ref
    return effective.OAuth2(
        grant_type=grant,
        server=effective.TokenServer(
            url=ledger.own(f"{path}.tokenURL", origin, group.token_url, default=""),
            host=host,
            port=port,
            addresses=endpoints.rules(policy, origin=origin, host=host, port=port, usual=endpoints.TOKEN_PORTS),
        ),
        client_id=ledger.own(f"{path}.clientID", origin, group.client_id, default=""),
        client_authentication=method,
        key_id=group.key_id,
        scopes=tuple(ledger.own(f"{path}.scopes", origin, group.scopes, default=[])),
        client_secret_key=(reference.client_secret_key or names.CLIENT_SECRET_KEY) if is_secret else None,
        private_key_key=(reference.private_key_key or names.PRIVATE_KEY_KEY) if is_jwt else None,
        refresh_token_key=(reference.refresh_token_key or names.REFRESH_TOKEN_KEY)
        if grant == vocabulary.GrantType.REFRESH_TOKEN
        else None,
    )


def _oauth2_need(group: oauth.OAuth2, oauth2: effective.OAuth2, namespace: str) -> observed.SecretNeed:
    wanted = (
        (observed.Purpose.CLIENT_SECRET, oauth2.client_secret_key),
        (observed.Purpose.PRIVATE_KEY, oauth2.private_key_key),
        (observed.Purpose.REFRESH_TOKEN, oauth2.refresh_token_key),
    )
    return observed.SecretNeed(
        namespace=namespace,
        name=group.secret_ref.name,
        keys=tuple(observed.SecretKey(purpose=purpose, name=name) for purpose, name in wanted if name is not None),
    )
