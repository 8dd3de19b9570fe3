"""What an application reads with `envFrom`, where its organization says `spec.publish: true`.

It is for the application's convenience: the organization's namespace may write the ConfigMap, so that nothing of ours
trusts it.
"""

import dataclasses
from typing import Final

from mailtier.api import vocabulary
from mailtier.settings import effective

HANDOVER_PREFIX: Final = "MAILTIER_"
"""Of the keys that say where notifications are handed over."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Where notifications are handed over.

    Attributes:
        url: Scheme and authority of the intake, as in `https://mailtier.mailtier.svc:8443`; "" where nobody said.
        ca: PEM certificates that it is verified against; "" while they are not known, and for the public CAs.
    """

    url: str
    ca: str


def data(settings: effective.Effective, intake: Intake) -> dict[str, str]:
    """Return the ConfigMap's content.

    The SMTP server is named only where it is the organization's own, with the name of the Secret and never the
    password: the host's is the host's (R3).
    """
    organization, endpoint, auth = settings.organization, settings.endpoint, settings.auth
    values = handover(organization, intake)
    if settings.from_ is not None:
        values["MAIL_FROM"] = settings.from_.address
        if settings.from_.display_name is not None:
            values["MAIL_FROM_NAME"] = settings.from_.display_name
    if endpoint is not None and endpoint.origin == vocabulary.Origin.ORG:
        values |= {"SMTP_HOST": endpoint.host, "SMTP_PORT": str(endpoint.port), "SMTP_TLS": endpoint.tls.mode.value}
        if auth is not None and auth.secret is not None:
            values |= {"SMTP_USERNAME": auth.identity, "SMTP_SECRET_NAME": auth.secret.name}
            if auth.secret.key:
                values["SMTP_SECRET_KEY"] = auth.secret.key
    return values


def handover(organization: effective.OrganizationKey, intake: Intake) -> dict[str, str]:
    """Return the part of the content with which notifications are handed over; all of it has `HANDOVER_PREFIX`."""
    values = {"MAILTIER_ORGANIZATION": str(organization)}
    if intake.url:
        values["MAILTIER_URL"] = (
            f"{intake.url}/v1/namespaces/{organization.namespace}/organizations/{organization.name}/notifications"
        )
    if intake.ca:
        values["MAILTIER_CA"] = intake.ca
    return values
