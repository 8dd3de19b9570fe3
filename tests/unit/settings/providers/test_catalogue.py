"""Providers: each fact has its source, each example is clean, and each server finds its provider."""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import linting
from kit.reference import lints as reference_lints
from mailtier.api import settings
from mailtier.settings import drafts
from mailtier.settings.lints import catalogue as lints
from mailtier.settings.providers import catalogue, facts

_PROVIDERS = pytest.mark.parametrize("provider", catalogue.ALL, ids=lambda provider: provider.name)


def _sources(value: Any) -> Iterator[facts.FactSource]:
    """Yield every source in a value, however deep."""
    if isinstance(value, facts.FactSource):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _sources(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _sources(each)


@_PROVIDERS
def test_every_fact_has_a_source_and_a_day(provider: facts.Provider) -> None:
    """Whoever doubts a number finds the page, and when it said so."""
    known = [getattr(provider, field.name) for field in dataclasses.fields(provider)]
    known += [getattr(provider.limits, field.name) for field in dataclasses.fields(provider.limits)]
    found = [fact for fact in known if isinstance(fact, facts.Fact)]
    assert len(found) >= 4
    noted = [*found, *provider.errors, *provider.steps]
    for source in [each.source for each in noted]:
        assert source.title
        assert re.fullmatch(r"https://[^\s/]+/\S*", source.url)
        assert dt.date(2026, 1, 1) <= source.looked_up
    assert len(list(_sources(provider))) >= len(found)


@_PROVIDERS
def test_what_is_not_verified_is_said(provider: facts.Provider) -> None:
    """A fact that no page of the provider's own says is marked on the page, and a sentence says what is in doubt."""
    known = [getattr(provider, field.name) for field in dataclasses.fields(provider)]
    known += [getattr(provider.limits, field.name) for field in dataclasses.fields(provider.limits)]
    doubted = [fact for fact in known if isinstance(fact, facts.Fact) and not fact.verified]
    page = reference_lints.provider_page(provider)
    assert page.count("| no |\n") == len(doubted)
    assert page.count(", not verified)") == len([step for step in provider.steps if not step.verified])
    assert provider.unverified or not doubted


@_PROVIDERS
def test_an_example_is_valid_and_clean(provider: facts.Provider) -> None:
    """A reader may copy the example of each page, and no lint says anything of it."""
    spec = drafts.spec(provider)
    settings.HostSpec.model_validate(spec)
    assert linting.found(linting.of_host(spec)) == []


@_PROVIDERS
def test_an_example_s_server_is_the_provider_s(provider: facts.Provider) -> None:
    """The example names a server of the provider, or one of nobody's for what people run themselves."""
    assert catalogue.find(provider.sample.host) is (None if provider.hosts is None else provider)


@_PROVIDERS
def test_a_provider_s_own_username_has_its_form(provider: facts.Provider) -> None:
    """The example's username passes the rule that the lint applies; an empty one never does."""
    if provider.username is not None and provider.sample.username is not None:
        assert provider.username.value.matches(provider.sample.username)
        assert not provider.username.value.matches("")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("smtp.gmail.com", "gmail"),
        ("smtp-relay.gmail.com", "google-workspace-relay"),
        ("smtp.office365.com", "microsoft-365"),
        ("contoso-com.mail.protection.outlook.com", "microsoft-365-connector"),
        ("email-smtp.us-gov-west-1.amazonaws.com", "amazon-ses"),
        ("smtp.sendgrid.net", "sendgrid"),
        ("smtp.eu.mailgun.org", "mailgun"),
        ("smtp-mail.outlook.com", "microsoft-365"),
        ("outlook.office365.com", "microsoft-365"),
        ("smtp.office365.us", "microsoft-365"),
        ("smtp.partner.outlook.cn", "microsoft-365"),
        ("smtp.googlemail.com", "gmail"),
        ("email-smtp-fips.us-east-1.amazonaws.com", "amazon-ses"),
        ("email-smtp.eu-west-1.api.aws", "amazon-ses"),
        ("smtp.eu.sendgrid.net", "sendgrid"),
        ("smtp.postmarkapp.com", "postmark"),
        ("smtp-relay.brevo.com", "brevo"),
        ("smtppro.zoho.eu", "zoho"),
        ("mail.outlook.office365.com", None),
        ("smtp.gmail.com.example.com", None),
        ("smtpxgmail.com", None),
        ("email-smtp.a.b.amazonaws.com", None),
        ("email-smtp..amazonaws.com", None),
        ("evil.smtp.sendgrid.net", None),
        ("10.0.0.25", None),
        ("", None),
    ],
)
def test_a_server_finds_its_provider(host: str, name: str | None) -> None:
    """A star stands for one label, and a name that only looks like a provider's belongs to nobody."""
    found = catalogue.find(host)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("username", "fits"),
    [
        ("AKIAIOSFODNN7EXAMPLE", True),
        ("ASIAIOSFODNN7EXAMPLE", False),
        ("akiaiosfodnn7example", False),
        ("ses-smtp-user.20260101-120000", False),
        ("AKIA", False),
    ],
)
def test_an_ses_username_is_a_long_term_access_key(username: str, fits: bool) -> None:
    """Neither the IAM user's name nor a temporary key signs in to the SMTP interface."""
    rule = catalogue.BY_NAME["amazon-ses"].username
    assert rule is not None
    assert rule.value.matches(username) is fits


@_PROVIDERS
def test_every_known_error_is_recognized(provider: facts.Provider) -> None:
    """Each refusal, as the server would say it, gives the remedy that stands beside it."""
    host = provider.sample.host
    for error in provider.errors:
        if provider.hosts is None and error.text is None:
            continue
        text = f"{error.enhanced or ''} Error: {(error.text or 'anything').upper()} [id]"
        assert catalogue.remedy(host, error.code, error.enhanced, text) == error.remedy


def test_a_text_wins_over_a_code_alone() -> None:
    """At SendGrid 550 means several things, which the text tells apart."""
    first = catalogue.remedy("smtp.sendgrid.net", 550, None, "Unauthenticated senders not allowed")
    other = catalogue.remedy(
        "smtp.sendgrid.net", 550, None, "The from address does not match a verified Sender Identity."
    )
    assert first is not None
    assert other is not None
    assert first != other


@pytest.mark.parametrize(
    ("host", "code", "enhanced", "text"),
    [
        ("smtp.gmail.com", 550, "5.1.1", "no such user"),
        ("smtp.gmail.com", 454, "5.7.8", "Username and Password not accepted"),
        ("mail.example.com", 535, "5.7.8", "authentication failed"),
        ("mail.example.com", 535, "5.7.139", "SmtpClientAuthentication is disabled"),
    ],
)
def test_what_is_not_known_has_no_remedy(host: str, code: int, enhanced: str | None, text: str) -> None:
    """Another code, or the code of another provider, is not guessed at."""
    assert catalogue.remedy(host, code, enhanced, text) is None


@given(
    host=st.sampled_from([provider.sample.host for provider in catalogue.ALL]),
    code=st.integers(200, 599),
    enhanced=st.none() | st.sampled_from(("5.7.8", "5.7.139", "4.3.2", "5.7.1")),
    text=st.text(),
)
def test_a_remedy_repeats_nothing_of_the_reply(host: str, code: int, enhanced: str | None, text: str) -> None:
    """R7: whatever the server says, a remedy is one of this program's own sentences."""
    known = {error.remedy for provider in catalogue.ALL for error in provider.errors}
    assert catalogue.remedy(host, code, enhanced, text) in known | {None}


def test_each_provider_has_a_page() -> None:
    """The pages list all providers, and each shows its example and where its facts come from."""
    pages = reference_lints.pages()
    for provider in catalogue.ALL:
        page = pages[f"providers/{provider.name}.md"]
        assert provider.sample.host in page
        assert provider.anonymous.source.url in page
        assert f"({provider.name}.md)" in pages["providers/index.md"]


def test_other_names_of_a_provider_give_its_remedies_and_lints() -> None:
    """What is refused at another name of Microsoft's has the same remedy, and a lint there is a Warning at most."""
    told = catalogue.remedy("outlook.office365.com", 554, "5.2.252", "SendAsDenied; not allowed")
    assert told == catalogue.remedy("smtp.office365.com", 554, "5.2.252", "SendAsDenied; not allowed")
    assert told is not None
    spec = drafts.spec(catalogue.BY_NAME["microsoft-365"])
    found = {}
    for host in ("smtp.office365.com", "smtp-mail.outlook.com", "outlook.office365.com"):
        wrong = {**spec, "smtp": {**spec["smtp"], "host": host, "port": 2525}}
        found[host] = {(each.lint.identifier, each.severity.name) for each in lints.run(linting.of_host(wrong))}
    assert {name for name, _ in found["smtp.office365.com"]} == {name for name, _ in found["outlook.office365.com"]}
    assert found["outlook.office365.com"] == found["smtp-mail.outlook.com"]
    assert "ERROR" not in {severity for _, severity in found["outlook.office365.com"]}
