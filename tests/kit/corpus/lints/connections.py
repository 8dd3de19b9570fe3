"""Examples of lints about the server, its certificate, credentials and limits."""

from kit import linting, tiers
from kit.corpus.lints import parts
from mailtier.settings.lints import terms

_BUSY = {"text": "please try later"}

CASES: list[tuple[str, str, terms.Subject, terms.Subject]] = [
    (
        "starttls-on-implicit-tls-port",
        "spec.smtp.tls.mode",
        parts.of(smtp=parts.smtp(port=465)),
        parts.of(smtp=parts.smtp(port=465, mode="Implicit")),
    ),
    (
        "implicit-tls-on-starttls-port",
        "spec.smtp.tls.mode",
        parts.of(smtp=parts.smtp(port=587, mode="Implicit")),
        parts.of(smtp=parts.smtp(mode="Implicit")),
    ),
    (
        "password-in-clear",
        "spec.auth.allowPlaintext",
        parts.of(smtp=parts.smtp(mode="Disabled"), auth=parts.auth(allowPlaintext=True)),
        parts.of(smtp=parts.smtp("127.0.0.1", mode="Disabled"), auth=parts.auth(allowPlaintext=True)),
    ),
    (
        "mail-in-clear",
        "spec.smtp.tls.mode",
        parts.of(smtp=parts.smtp(mode="Disabled"), auth=None),
        parts.of(smtp=parts.smtp("localhost", mode="Disabled"), auth=None),
    ),
    (
        "ip-address-without-server-name",
        "spec.smtp.tls.serverName",
        parts.of(smtp=parts.smtp("10.0.0.25")),
        parts.of(smtp=parts.smtp("10.0.0.25", serverName="relay.example.com")),
    ),
    (
        "ip-address-without-server-name",
        "spec.smtp.tls.serverName",
        parts.of(smtp=parts.smtp("2001:db8::25")),
        parts.of(smtp=parts.smtp("2001:db8::25", mode="Disabled"), auth=None),
    ),
    (
        "fallback-on-the-same-host",
        "spec.smtp.fallback.host",
        parts.of(smtp={**parts.smtp("relay.example.com"), "fallback": {"host": "Relay.example.com.", "port": 2525}}),
        parts.of(smtp={**parts.smtp("relay.example.com"), "fallback": {"host": "spare.example.com"}}),
    ),
    (
        "unqualified-host",
        "spec.smtp.host",
        parts.of(smtp=parts.smtp("relay")),
        parts.of(smtp=parts.smtp("relay.mail.svc.cluster.local")),
    ),
    (
        "unqualified-host",
        "spec.smtp.host",
        parts.of(smtp=parts.smtp("relay.mail.svc")),
        parts.of(smtp=parts.smtp("relay.mail.example")),
    ),
    (
        "unqualified-host",
        "spec.auth.oauth2.tokenURL",
        parts.of(auth=parts.auth(oauth2={**parts.OAUTH2, "tokenURL": "https://login.auth-2/token"})),
        parts.of(auth=parts.auth(oauth2={**parts.OAUTH2, "tokenURL": "https://login.auth-2.svc.cluster.local/token"})),
    ),
    (
        "loopback-endpoint",
        "spec.smtp.host",
        parts.of(smtp=parts.smtp("localhost")),
        parts.of(smtp=parts.smtp("localhost.example.com")),
    ),
    (
        "credentials-on-port-25",
        "spec.smtp.port",
        parts.of(smtp=parts.smtp(port=25)),
        parts.of(smtp=parts.smtp(port=25), auth={"mechanism": "Anonymous"}),
    ),
    (
        "submission-without-credentials",
        "spec.auth",
        parts.of(auth=None),
        parts.of(smtp=parts.RELAY, auth=None),
    ),
    (
        "certificate-expires-soon",
        "spec.smtp.tls",
        linting.of_host(tiers.RELAY, days=21),
        linting.of_host(tiers.RELAY, days=22),
    ),
    (
        "certificate-expires-soon",
        "spec.smtp.tls",
        linting.of_host(tiers.RELAY, days=-1),
        linting.of_host(tiers.RELAY),
    ),
    (
        "client-certificate-expires-soon",
        "spec.smtp.tls.clientCertificateRef",
        linting.of_host(tiers.RELAY, client_days=21),
        linting.of_host(tiers.RELAY, client_days=22),
    ),
    (
        "username-form-of-provider",
        "spec.auth.username",
        parts.of(smtp=parts.SES, auth=parts.auth("no-reply@example.com")),
        parts.of(smtp=parts.SES, auth=parts.auth("AKIAIOSFODNN7EXAMPLE")),
    ),
    (
        "username-form-of-provider",
        "spec.auth.username",
        parts.of(smtp=parts.smtp("smtp.sendgrid.net"), auth=parts.auth("relay")),
        parts.of(smtp=parts.smtp("smtp.sendgrid.net"), auth=parts.auth("apikey")),
    ),
    (
        "username-form-of-provider",
        "spec.auth.username",
        parts.of(smtp=parts.GMAIL, auth=parts.auth("no-reply")),
        parts.of(
            smtp=parts.GMAIL, auth=parts.auth("no-reply", domain="example.com", usernameFormat="UserPrincipalName")
        ),
    ),
    (
        "username-form-of-provider",
        "spec.auth.username",
        linting.of_org({**tiers.RELAY, "smtp": parts.SES}, {"auth": parts.auth("team")}),
        linting.of_org({**tiers.RELAY, "smtp": parts.SES}, {}),
    ),
    (
        "mechanism-not-offered",
        "spec.auth.mechanism",
        parts.of(smtp=parts.MICROSOFT, auth=parts.auth()),
        parts.of(smtp=parts.MICROSOFT, auth=parts.auth(mechanism="LOGIN")),
    ),
    (
        "mechanism-not-offered",
        "spec.auth.mechanism",
        parts.of(smtp=parts.smtp("example-com.mail.protection.outlook.com", 25)),
        parts.of(smtp=parts.smtp("example-com.mail.protection.outlook.com", 25), auth=None),
    ),
    (
        "microsoft-365-password",
        "spec.auth.passwordSecretRef",
        parts.of(smtp=parts.MICROSOFT, auth=parts.auth(mechanism="LOGIN")),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
    ),
    (
        "provider-needs-credentials",
        "spec.auth",
        parts.of(smtp=parts.SES, auth=None),
        parts.of(smtp=parts.RELAY, auth=None),
    ),
    (
        "oauth-grant-not-offered",
        "spec.auth.oauth2.grantType",
        parts.of(smtp=parts.GMAIL, auth=parts.auth(oauth2=parts.OAUTH2)),
        parts.of(smtp=parts.GMAIL, auth=parts.auth(oauth2={**parts.OAUTH2, "grantType": "RefreshToken"})),
    ),
    (
        "oauth-scope-missing",
        "spec.auth.oauth2.scopes",
        parts.of(
            smtp=parts.MICROSOFT,
            auth=parts.auth(oauth2={**parts.OAUTH2, "scopes": ["https://graph.microsoft.com/.default"]}),
        ),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
    ),
    (
        "oauth-scope-missing",
        "spec.auth.oauth2.scopes",
        parts.of(smtp=parts.MICROSOFT, auth=parts.auth(oauth2=parts.OAUTH2)),
        parts.of(smtp=parts.MICROSOFT, auth=parts.auth(oauth2={**parts.OAUTH2, "grantType": "RefreshToken"})),
    ),
    (
        "username-with-blanks",
        "spec.auth.username",
        parts.of(auth=parts.auth("relay ")),
        parts.of(auth=parts.auth("the relay")),
    ),
    (
        "port-not-of-provider",
        "spec.smtp.port",
        parts.of(smtp=parts.smtp("smtp.gmail.com", 2525)),
        parts.of(smtp=parts.smtp("smtp.sendgrid.net", 2525), auth=parts.auth("apikey")),
    ),
    (
        "port-not-of-provider",
        "spec.smtp.port",
        parts.of(smtp=parts.smtp("smtp.office365.com", 465, mode="Implicit"), auth=parts.OFFICE_AUTH),
        parts.of(smtp=parts.smtp("smtp.gmail.com", 465)),
    ),
    (
        "connections-above-provider",
        "spec.delivery.maxConnections",
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH, delivery={"maxConnections": 4}),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
    ),
    (
        "messages-per-connection-above-provider",
        "spec.delivery.messagesPerConnection",
        parts.of(
            smtp=parts.smtp("smtp.sendgrid.net"), auth=parts.auth("apikey"), delivery={"messagesPerConnection": 5001}
        ),
        parts.of(
            smtp=parts.smtp("smtp.sendgrid.net"), auth=parts.auth("apikey"), delivery={"messagesPerConnection": 5000}
        ),
    ),
    (
        "rate-above-provider",
        "spec.delivery.ratePerMinute",
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH, delivery={"ratePerMinute": 31}),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH, delivery={"ratePerMinute": 30}),
    ),
    (
        "rate-above-provider",
        "spec.delivery.endpointRatePerMinute",
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH, delivery={"endpointRatePerMinute": 31}),
        parts.of(
            smtp=parts.MICROSOFT,
            auth=parts.OFFICE_AUTH,
            delivery={"endpointRatePerMinute": 30, "ratePerMinute": 31},
        ),
    ),
    (
        "no-rate-at-limited-provider",
        "spec.delivery.endpointRatePerMinute",
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH, delivery={"endpointRatePerMinute": 30}),
    ),
    (
        "no-rate-at-limited-provider",
        "spec.delivery.endpointRatePerMinute",
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
        linting.of_org(parts.host(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH), {}),
    ),
    (
        "max-age-shorter-than-retries",
        "spec.delivery.maxAge",
        linting.of_org(tiers.RELAY, {"delivery": {"maxAge": "20m"}}),
        linting.of_org(tiers.RELAY, {"delivery": {"maxAge": "4h"}}),
    ),
    (
        "session-timeout-short",
        "spec.delivery.timeouts.session",
        parts.of(delivery={"timeouts": {"session": "5s"}}),
        parts.of(delivery={"timeouts": {"session": "10s"}}),
    ),
    (
        "message-timeout-short",
        "spec.delivery.timeouts.message",
        parts.of(delivery={"timeouts": {"message": "30s"}}),
        parts.of(delivery={"timeouts": {"message": "2m"}}),
    ),
    (
        "helo-name-not-qualified",
        "spec.delivery.heloName",
        parts.of(delivery={"heloName": "sender"}),
        parts.of(delivery={"heloName": "sender.example.com"}),
    ),
    (
        "reply-rule-never-acts",
        "spec.delivery.replies[1]",
        parts.of(delivery={"replies": [{"code": 554, "action": "Defer"}, {**_BUSY, "code": 554, "action": "Fail"}]}),
        parts.of(delivery={"replies": [{**_BUSY, "code": 554, "action": "Fail"}, {"code": 554, "action": "Defer"}]}),
    ),
    (
        "reply-rule-never-acts",
        "spec.delivery.replies[1]",
        parts.of(delivery={"replies": [{"text": "TRY later", "action": "Defer"}, {**_BUSY, "action": "Hold"}]}),
        parts.of(delivery={"replies": [{"enhanced": "5.3.2", "action": "Defer"}, {**_BUSY, "action": "Hold"}]}),
    ),
]
"""Identifier, field, what is found, and what is near it and not found."""
