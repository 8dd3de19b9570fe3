"""Drafts: what was chosen takes the place of the example, and what follows from it follows."""

import dataclasses

import pytest

from kit import linting
from mailtier.api import settings
from mailtier.settings import drafts
from mailtier.settings.providers import catalogue, facts

_PROVIDERS = pytest.mark.parametrize("provider", catalogue.ALL, ids=lambda provider: provider.name)


def _of(name: str) -> facts.Provider:
    return catalogue.BY_NAME[name]


@_PROVIDERS
def test_an_organization_s_draft_is_valid_and_clean(provider: facts.Provider) -> None:
    """An organization with a server of its own says how it authenticates, or that it does not."""
    spec = drafts.spec(provider, is_organization=True)
    settings.OrgSpec.model_validate(spec)
    assert spec["auth"]
    assert linting.found(linting.of_org(None, spec)) == []


@_PROVIDERS
def test_a_draft_keeps_to_the_provider_s_limits(provider: facts.Provider) -> None:
    """Connections, messages in one and messages a minute are never more than the provider takes."""
    delivery = drafts.spec(provider).get("delivery", {})
    for field, limit, default in (
        ("maxConnections", provider.limits.connections, 3),
        ("messagesPerConnection", provider.limits.messages_per_connection, 100),
        ("endpointRatePerMinute", provider.limits.messages_per_minute, None),
    ):
        if limit is not None:
            effective = delivery.get(field, default)
            assert effective is not None
            assert effective <= limit.value


def test_few_messages_in_a_connection_are_kept_to() -> None:
    """A provider that takes fewer in a connection than the default has its number in the draft."""
    sendgrid = _of("sendgrid")
    fact = dataclasses.replace(sendgrid.limits.messages_per_connection, value=10)  # type: ignore[type-var]
    narrow = dataclasses.replace(sendgrid, limits=facts.ProviderLimits(messages_per_connection=fact))
    assert drafts.spec(narrow)["delivery"] == {"messagesPerConnection": 10}
    assert "messagesPerConnection" not in drafts.spec(sendgrid)["delivery"]


def test_tls_begins_as_the_provider_s_own_page_says() -> None:
    """Brevo calls its other ports not encrypted, so that its draft takes the one that begins with TLS."""
    assert drafts.spec(_of("brevo"))["smtp"] == {
        "host": "smtp-relay.brevo.com",
        "port": 465,
        "tls": {"mode": "Implicit"},
    }
    assert drafts.spec(_of("postfix-dovecot"))["smtp"]["tls"] == {"mode": "StartTLS"}


def test_where_an_account_sends_as_itself_the_address_is_the_login() -> None:
    """Gmail's login follows the From address; another that was chosen stays, and SendGrid's is everybody's."""
    chosen = drafts.choose(_of("gmail"), from_address="no-reply@acme.example")
    assert (chosen.username, chosen.from_address) == ("no-reply@acme.example",) * 2
    other = drafts.choose(_of("gmail"), from_address="no-reply@acme.example", username="mail@acme.example")
    assert other.username == "mail@acme.example"
    assert drafts.choose(_of("sendgrid"), from_address="no-reply@acme.example").username == "apikey"


def test_a_session_that_names_itself_does_so_by_its_own_domain() -> None:
    """The relay of Google Workspace knows an account by the name in EHLO, so that it follows the From address."""
    relay = _of("google-workspace-relay")
    spec = drafts.spec(relay, drafts.choose(relay, from_address="no-reply@acme.example"))
    assert spec["delivery"]["heloName"] == "acme.example"
    assert "auth" not in spec
    assert drafts.spec(relay, drafts.choose(relay, username="a@acme.example"))["auth"]["username"] == "a@acme.example"


@pytest.mark.parametrize(
    ("name", "host", "fits"),
    [
        ("amazon-ses", "email-smtp.us-east-1.amazonaws.com", True),
        ("amazon-ses", "smtp.gmail.com", False),
        ("amazon-ses", "mail.example.org", False),
        ("mailgun", "smtp.eu.mailgun.org", True),
        ("postfix-dovecot", "mail.acme.example", True),
        ("exchange-server", "smtp.office365.com", False),
    ],
)
def test_a_server_has_to_be_the_provider_s(name: str, host: str, fits: bool) -> None:
    """The server of one provider is not taken with the port and the limits of another; one's own may have any name."""
    provider = _of(name)
    if fits:
        assert drafts.spec(provider, drafts.choose(provider, host=host))["smtp"]["host"] == host
        return
    with pytest.raises(drafts.UnfitError) as raised:
        drafts.choose(provider, host=host)
    assert raised.value.field == "host"
    assert "*" not in str(raised.value)


def test_a_login_is_refused_where_none_is_taken() -> None:
    """A connector of Microsoft 365 takes no credentials."""
    with pytest.raises(drafts.UnfitError, match="takes no credentials"):
        drafts.choose(_of("microsoft-365-connector"), username="a@acme.example")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gmail", "gmail"),
        ("Amazon SES", "amazon-ses"),
        ("ses", "amazon-ses"),
        ("microsoft365", "microsoft-365"),
        ("Microsoft-365", "microsoft-365"),
        ("m365", "microsoft-365"),
        ("gmial", None),
        ("", None),
    ],
)
def test_a_provider_is_known_by_what_people_call_it(text: str, name: str | None) -> None:
    """Hyphens, blanks and capitals do not matter, and short names are names."""
    found = catalogue.named(text)
    assert (found.name if found else None) == name


def test_no_two_providers_are_called_the_same() -> None:
    """Each name and each short name leads to one provider."""
    for provider in catalogue.ALL:
        for text in (provider.name, provider.title, *provider.short_names):
            assert catalogue.named(text) is provider


@_PROVIDERS
def test_every_step_is_a_sentence_with_its_source(provider: facts.Provider) -> None:
    """Each provider says what has to be done there, and the page that says so."""
    assert provider.steps
    for step in provider.steps:
        assert step.value.endswith(".")
        assert step.value[0].isupper()
        assert step.source.url.startswith("https://")
