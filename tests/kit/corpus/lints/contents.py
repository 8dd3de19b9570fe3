"""Examples of lints about senders, recipients, the policy and overrides."""

from kit import linting, tiers
from kit.corpus.lints import parts
from mailtier.settings.lints import terms

CASES: list[tuple[str, str, terms.Subject, terms.Subject]] = [
    (
        "gmail-from-not-username",
        "spec.from.address",
        parts.of(smtp=parts.GMAIL, auth=parts.auth("relay@example.com")),
        parts.of(smtp=parts.GMAIL, auth=parts.auth("No-Reply@Example.com")),
    ),
    (
        "gmail-from-not-username",
        "spec.from.address",
        linting.of_org(None, {**tiers.OWN, "smtp": parts.GMAIL, "auth": parts.auth("x@example.org")}),
        linting.of_org(parts.host(smtp=parts.GMAIL, auth=parts.auth("relay@example.com")), {}),
    ),
    (
        "microsoft-365-from-not-username",
        "spec.from.address",
        parts.of(smtp=parts.MICROSOFT, auth={**parts.OFFICE_AUTH, "username": "relay@example.com"}),
        parts.of(smtp=parts.MICROSOFT, auth=parts.OFFICE_AUTH),
    ),
    (
        "from-domain-unrelated",
        "spec.from.address",
        parts.of(smtp=parts.smtp("mail.hoster.net"), auth=parts.auth("customer7")),
        parts.of(smtp=parts.smtp("mail.hoster.net"), auth=parts.auth("no-reply@example.com")),
    ),
    (
        "from-domain-unrelated",
        "spec.from.address",
        parts.of(smtp=parts.smtp("mail.other.co.uk"), sender={"address": "a@example.co.uk"}),
        parts.of(smtp=parts.smtp("mail.example.co.uk"), sender={"address": "a@news.example.co.uk"}),
    ),
    (
        "from-domain-unrelated",
        "spec.from.address",
        parts.of(smtp=parts.smtp("mail.hoster.net"), auth=None),
        parts.of(smtp=parts.smtp("relay.mail.svc.cluster.local"), auth=None),
    ),
    (
        "from-domain-unrelated",
        "spec.from.address",
        parts.of(smtp=parts.smtp("mail.hoster.net"), auth=None),
        parts.of(smtp=parts.smtp("smtp.mailgun.org"), auth=parts.auth("postmaster@mg.example.com")),
    ),
    (
        "envelope-domain-differs",
        "spec.from.envelope",
        parts.of(sender=parts.mail(envelope="bounces@hoster.net")),
        parts.of(sender=parts.mail(envelope="bounces@mail.example.com")),
    ),
    (
        "envelope-domain-differs",
        "spec.from.address",
        linting.of_org(parts.BOUNCING, {**tiers.OWN, "from": {"address": "team@example.org"}}),
        linting.of_org(parts.BOUNCING, {"from": {"address": "team@example.org"}}),
    ),
    (
        "envelope-domain-differs",
        "spec.from.envelope",
        linting.of_org(tiers.RELAY, {"from": {"envelope": "bounces@example.org"}}),
        linting.of_org(parts.BOUNCING, {"from": {"displayName": "Team"}}),
    ),
    (
        "reply-to-nobody",
        "spec.from.replyTo",
        parts.of(sender=parts.mail(replyTo="NoReply@example.com")),
        parts.of(sender=parts.mail(replyTo="help@example.com")),
    ),
    (
        "from-freemail-domain",
        "spec.from.address",
        parts.of(sender={"address": "somebody@yahoo.com"}),
        parts.of(smtp=parts.smtp("smtp.mail.yahoo.com"), sender={"address": "somebody@yahoo.com"}),
    ),
    (
        "from-freemail-domain",
        "spec.from.address",
        parts.of(sender={"address": "somebody@gmail.com"}),
        parts.of(smtp=parts.GMAIL, sender={"address": "somebody@gmail.com"}),
    ),
    (
        "display-name-shows-address",
        "spec.from.displayName",
        parts.of(sender=parts.mail(displayName="ceo@example.com")),
        parts.of(sender=parts.mail(displayName="Mail (no-reply@example.com)")),
    ),
    (
        "sender-domain-not-public",
        "spec.from.address",
        parts.of(sender={"address": "root@mailhost"}),
        parts.of(sender={"address": "root@mailhost.example.com"}),
    ),
    (
        "sender-domain-not-public",
        "spec.from.envelope",
        parts.of(sender=parts.mail(envelope="bounces@mail.corp.internal")),
        parts.of(sender=parts.mail(envelope="bounces@internal.example.com")),
    ),
    (
        "helo-name-of-account-missing",
        "spec.delivery.heloName",
        parts.of(smtp=parts.RELAY, auth=None),
        parts.of(smtp=parts.RELAY, auth=None, delivery={"heloName": "example.com"}),
    ),
    (
        "category-without-recipients",
        "spec.notifications.jobAlert.recipients",
        parts.job(enabled=True),
        parts.job(enabled=True, recipients=["ops@example.com"]),
    ),
    ("category-without-recipients", "spec.notifications.jobAlert.recipients", parts.job(recipients=[]), parts.job()),
    (
        "category-without-recipients",
        "spec.notifications.jobAlert.recipients",
        parts.job({"notifications": {"jobAlert": {"enabled": True}}}, recipients=[]),
        parts.job({"notifications": {"jobAlert": {"enabled": True}}}),
    ),
    (
        "category-without-recipients",
        "spec.notifications.jobAlert.recipients",
        parts.job({"notifications": {"jobAlert": {"enabled": True}}}, enabled=True),
        parts.of(notifications={"jobAlert": {"enabled": True}}),
    ),
    (
        "password-recovery-disabled",
        "spec.notifications.passwordRecovery.enabled",
        parts.of(notifications={"passwordRecovery": {"enabled": False}}),
        linting.of_org(parts.host(notifications={"passwordRecovery": {"enabled": False}}), {}),
    ),
    (
        "every-category-disabled",
        "spec.notifications",
        parts.of(notifications=parts.ALL_OFF),
        parts.of(notifications={**parts.ALL_OFF, "jobAlert": {"enabled": True, "recipients": ["ops@example.com"]}}),
    ),
    (
        "recipient-is-sender",
        "spec.notifications.jobAlert.recipients",
        parts.job(recipients=["No-Reply@example.com"]),
        parts.job(recipients=["ops@example.com"]),
    ),
    (
        "recipient-twice",
        "spec.notifications.jobAlert.recipients",
        parts.job(recipients=["ops@example.com", "Ops@example.com"]),
        parts.job(recipients=["ops@example.com", "ops@example.org"]),
    ),
    (
        "policy-opens-private-networks",
        "spec.policy.endpoints.allow[1].cidr",
        parts.policy(allow=[{"host": "*.example.com"}, {"cidr": "0.0.0.0/0"}]),
        parts.policy(allow=[{"cidr": "10.1.0.0/16"}]),
    ),
    (
        "policy-opens-metadata",
        "spec.policy.endpoints.hostAllow",
        parts.policy(hostAllow=["169.254.0.0/16"]),
        parts.policy(hostAllow=["127.0.0.0/8"]),
    ),
    (
        "policy-anonymous-everywhere",
        "spec.policy.endpoints.anonymous",
        parts.policy(anonymous=True),
        parts.policy(anonymous=True, allow=[{"host": "relay.example.com"}]),
    ),
    (
        "policy-allows-freemail-from",
        "spec.policy.from.allow",
        parts.of(policy={"from": {"allow": ["@gmail.com"]}}),
        parts.of(policy={"from": {"allow": ["@example.org", "{namespace}@example.com"]}}),
    ),
    (
        "policy-trusts-own-logins",
        "spec.policy.from.ownLogins",
        parts.of(policy={"from": {"ownLogins": "Trust"}}),
        parts.of(smtp=parts.GMAIL, auth=parts.auth("no-reply@example.com"), policy={"from": {"ownLogins": "Trust"}}),
    ),
    (
        "allow-plaintext-idle",
        "spec.auth.allowPlaintext",
        parts.of(auth=parts.auth(allowPlaintext=True)),
        parts.of(smtp=parts.smtp(mode="Disabled"), auth=parts.auth(allowPlaintext=True)),
    ),
    (
        "policy-in-audit-mode",
        "spec.policy.mode",
        parts.of(policy={"mode": "Audit"}),
        parts.of(policy={"mode": "Enforce"}),
    ),
    (
        "limit-above-host",
        "spec.delivery.ratePerMinute",
        linting.of_org(parts.host(delivery={"ratePerMinute": 10}), {"delivery": {"ratePerMinute": 20}}),
        linting.of_org(parts.host(delivery={"ratePerMinute": 10}), {"delivery": {"ratePerMinute": 5}}),
    ),
    (
        "override-repeats-host",
        "spec.from.address",
        linting.of_org(tiers.RELAY, {"from": {"address": "no-reply@example.com"}}),
        linting.of_org(tiers.RELAY, {"from": {"displayName": "Team"}}),
    ),
]
"""Identifier, field, what is found, and what is near it and not found."""
