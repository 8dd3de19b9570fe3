"""Lints about how sessions authenticate. They speak to the owner of the credentials alone (R7), and quote none."""

from collections.abc import Iterator
from typing import Final

from mailtier.api import oauth, vocabulary
from mailtier.settings.lints import terms
from mailtier.settings.providers import facts as providers

_M: Final = vocabulary.Mechanism
_PASSWORDS: Final = (_M.PLAIN, _M.LOGIN)


def _username_form(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth, provider = subject.auth, subject.provider
    if auth is None or provider is None or provider.username is None or auth.mechanism == _M.ANONYMOUS:
        return
    rule = provider.username.value
    if not rule.matches(auth.identity):
        yield terms.Notice(
            field="spec.auth.username",
            message=f"does not look like one of {provider.title}, where it {rule.sentence}; correct it, and"
            " usernameFormat if that adds a domain",
            fact=provider.username,
        )


def _mechanism(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth, provider = subject.auth, subject.provider
    if auth is None or provider is None or provider.mechanisms is None or auth.mechanism == _M.ANONYMOUS:
        return
    offered = provider.mechanisms.value
    if auth.mechanism in offered:
        return
    if not offered:
        message = f"{auth.mechanism} is not taken by {provider.title}, which asks for no credentials; remove spec.auth"
    else:
        names = " or ".join(_name(mechanism) for mechanism in offered)
        message = f"{auth.mechanism} is not offered by {provider.title}; use {names}"
    yield terms.Notice(field="spec.auth.mechanism", message=message, fact=provider.mechanisms)


def _name(mechanism: vocabulary.Mechanism) -> str:
    return f"{mechanism} (with auth.oauth2)" if mechanism == _M.XOAUTH2 else str(mechanism)


def _passwords_end(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth, provider = subject.auth, subject.provider
    if auth is None or provider is None or provider.passwords_end is None or auth.mechanism not in _PASSWORDS:
        return
    day = provider.passwords_end.value
    since = "are off by default since" if subject.now.date() > day else "will be off by default from"
    yield terms.Notice(
        field="spec.auth.passwordSecretRef",
        message=f"passwords {since} {day:%Y-%m-%d} at {provider.title}, until an administrator turns them on again; use"
        " auth.oauth2",
        fact=provider.passwords_end,
    )


def _needs_credentials(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth, provider = subject.auth, subject.provider
    if auth is None or provider is None or auth.mechanism != _M.ANONYMOUS or provider.anonymous.value:
        return
    yield terms.Notice(
        field="spec.auth",
        message=f"is absent or Anonymous, and {provider.title} takes no mail without credentials; set username and"
        f" {'oauth2' if provider.passwords_end else 'passwordSecretRef'}",
        fact=provider.anonymous,
    )


def _oauth2(subject: terms.Subject) -> tuple[oauth.OAuth2, providers.Provider, providers.OAuth2Facts] | None:
    """Return an own oauth2 group with what its provider says of such; None where there is nothing to compare."""
    group, provider = subject.auth_group, subject.provider
    if group is None or group.oauth2 is None or provider is None or provider.oauth2 is None:
        return None
    return group.oauth2, provider, provider.oauth2.value


def _grant_not_offered(subject: terms.Subject) -> Iterator[terms.Notice]:
    found = _oauth2(subject)
    if found is None:
        return
    oauth2, provider, known = found
    offered = [grant for grant, _ in known.scopes]
    grant = oauth.grant_type_of(oauth2)
    if grant not in offered:
        yield terms.Notice(
            field="spec.auth.oauth2.grantType",
            message=f"{grant} is not offered by {provider.title}; use {' or '.join(offered)}",
            fact=provider.oauth2,
        )


def _scopes(subject: terms.Subject) -> Iterator[terms.Notice]:
    found = _oauth2(subject)
    if found is None:
        return
    oauth2, provider, known = found
    grant = oauth.grant_type_of(oauth2)
    needed = dict(known.scopes).get(grant, ())
    if oauth2.scopes is None and grant == vocabulary.GrantType.REFRESH_TOKEN:
        # Without a scope, the new token has those that the account agreed to (RFC 6749 section 6).
        return
    missing = [scope for scope in needed if scope not in (oauth2.scopes or ())]
    if missing:
        yield terms.Notice(
            field="spec.auth.oauth2.scopes",
            message=f"lacks {', '.join(missing)}, without which {provider.title} refuses the token; add it",
            fact=provider.oauth2,
        )


def _username_blanks(subject: terms.Subject) -> Iterator[terms.Notice]:
    auth = subject.auth
    if auth is not None and auth.identity != auth.identity.strip():
        yield terms.Notice(
            field="spec.auth.username",
            message="begins or ends with a blank, which is part of the name to a server; remove it",
        )


LINTS: Final = (
    terms.Lint(
        identifier="username-form-of-provider",
        severity=terms.LintSeverity.ERROR,
        title="The username is not one that the provider gives out",
        explanation="Each provider has its form: at Amazon SES an access key ID that begins with AKIA, at SendGrid the"
        " word apikey, at Gmail, Google Workspace, Microsoft 365 and Mailgun a whole address. Another one is refused"
        " with 535, and the reply does not say that the form is the reason.",
        remedy="Take the username from the page on which the provider shows its SMTP credentials.",
        check=_username_form,
        by_facts=True,
    ),
    terms.Lint(
        identifier="mechanism-not-offered",
        severity=terms.LintSeverity.ERROR,
        title="The provider does not offer the mechanism",
        explanation="The mechanism is PLAIN where auth.mechanism is absent, and no other is tried: a wrong password"
        " would be tried more than once. Microsoft 365 is known to take LOGIN and XOAUTH2 alone.",
        remedy="Set auth.mechanism to one that the provider offers.",
        check=_mechanism,
        by_facts=True,
    ),
    terms.Lint(
        identifier="microsoft-365-password",
        severity=terms.LintSeverity.WARNING,
        title="A password where the provider turns passwords off",
        explanation="Microsoft turns SMTP AUTH with passwords off by default at the end of December 2026 in existing"
        " tenants, where an administrator may turn it on again; tenants created later do not have it by default. The"
        " day on which it ends for good is announced in the second half of 2027. Then 550 5.7.30 is the answer.",
        remedy="Register an application in Microsoft Entra ID, and replace auth.passwordSecretRef by auth.oauth2.",
        check=_passwords_end,
        by_facts=True,
    ),
    terms.Lint(
        identifier="provider-needs-credentials",
        severity=terms.LintSeverity.ERROR,
        title="No credentials for a provider that needs them",
        explanation="The provider takes mail from accounts alone; a session that does not authenticate is refused at"
        " MAIL FROM.",
        remedy="Set auth.",
        check=_needs_credentials,
        by_facts=True,
    ),
    terms.Lint(
        identifier="oauth-grant-not-offered",
        severity=terms.LintSeverity.ERROR,
        title="The provider does not offer the grant",
        explanation="How a token is got differs: Google wants the account's owner to agree once (RefreshToken);"
        " Microsoft gives tokens to the application itself (ClientCredentials) too.",
        remedy="Set auth.oauth2.grantType to one that the provider offers.",
        check=_grant_not_offered,
        by_facts=True,
    ),
    terms.Lint(
        identifier="oauth-scope-missing",
        severity=terms.LintSeverity.WARNING,
        title="A scope is missing without which the token cannot send",
        explanation="The token server gives a token for what was asked for; the SMTP server refuses one that is not"
        " for SMTP with 535, or the token server refuses to give one without any scope.",
        remedy="Add the scope that the message names to auth.oauth2.scopes.",
        check=_scopes,
        by_facts=True,
    ),
    terms.Lint(
        identifier="username-with-blanks",
        severity=terms.LintSeverity.WARNING,
        title="The username begins or ends with a blank",
        explanation="It is sent as it stands, and to a server that is another name.",
        remedy="Remove the blank.",
        check=_username_blanks,
    ),
)
