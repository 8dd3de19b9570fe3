"""effective.json: canonical, versioned, and read back as it was."""

import datetime as dt
import hashlib
import json
import re

import pytest
from hypothesis import given

from kit import specs, tiers
from mailtier.settings import codec, observed, resolve

Case = tuple[observed.Observed, observed.Reads]


@given(specs.cases())
def test_what_is_encoded_is_decoded(case: Case) -> None:
    """Every effective settings survive the way to the sender, and equal ones are equal texts."""
    situation, reads = case
    settings = resolve.conclude(resolve.plan(situation), reads).effective
    text = codec.encode(settings)
    decoded = codec.decode(text)
    assert decoded == settings
    assert codec.encode(decoded) == text


@given(specs.cases())
def test_the_text_is_canonical_and_hashed(case: Case) -> None:
    """Keys are sorted, there are no blanks, and the hash is over the same text without it."""
    situation, reads = case
    text = codec.encode(resolve.conclude(resolve.plan(situation), reads).effective)
    document = json.loads(text)
    assert json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    digest = document.pop("hash")
    rest = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(rest.encode()).hexdigest() == digest
    assert document["version"] == codec.VERSION


def test_another_version_is_refused() -> None:
    """A sender of another release says so, whatever else has changed."""
    with pytest.raises(codec.CodecError, match="version 1, and this program reads version 2"):
        codec.decode('{"hash":"","anything":{},"version":1}')


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"x"', "1", '{"version":1}'])
def test_what_is_no_effective_settings_is_refused(text: str) -> None:
    """Any other text is an error of ours."""
    with pytest.raises(codec.CodecError, match=r"not effective\.json"):
        codec.decode(text)


def test_an_edited_text_is_refused() -> None:
    """Whoever changes a value by hand changes nothing for the sender."""
    text = codec.encode(tiers.settle(tiers.RELAY, {}))
    with pytest.raises(codec.CodecError, match="does not match its hash"):
        codec.decode(text.replace("relay.example.com", "evil.example.com"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"state":"Active"', '"state":"New"'),
        ('"port":587,', ""),
        ('"findings":[]', '"findings":3'),
        ('"is_host_s":true,', ""),
        ('"recipients":{"domains":null,"enforced":true},', ""),
        ('"queued_bytes":null,', '"queued_bytes":null,"queued_megabytes":1,'),
    ],
)
def test_an_unknown_value_is_refused(before: str, after: str) -> None:
    """A text with a right hash that lacks something, if only what has a default, or holds more is an error of ours."""
    assert before in codec.encode(tiers.settle(tiers.RELAY, {}))
    text = re.sub('"hash":"[0-9a-f]*",', "", codec.encode(tiers.settle(tiers.RELAY, {}))).replace(before, after)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(codec.CodecError, match="lacks a field or has a value"):
        codec.decode(f'{{"hash":"{digest}",{text[1:]}')


def test_people_read_flat_keys() -> None:
    """Beside the JSON stand the values by their paths, where they came from, and what is wrong."""
    org = {**tiers.OWN, "from": {"address": "team@example.org", "displayName": "Team Ä"}}
    flat = codec.flat_keys(
        tiers.conclude(tiers.RELAY, org, secret=observed.SecretRead(outcome=observed.ReadOutcome.FOUND)).effective
    )
    assert flat["state"] == "Unresolved"
    assert flat["source"] == "Org"
    assert (flat["smtp.host"], flat["smtp.port"], flat["smtp.tls.mode"]) == ("smtp.example.org", "587", "StartTLS")
    assert (flat["auth.username"], flat["auth.secretName"]) == ("team", "smtp")
    assert flat["from.displayName"] == "Team Ä"
    assert flat["delivery.timeouts.message"] == "10m"
    assert flat["notifications.jobAlert.enabled"] == "true"
    assert "smtp.host: Org\n" in flat["provenance"]
    assert "smtp.port: Default\n" in flat["provenance"]
    assert flat["findings"].startswith("SecretNotBound: spec.auth.passwordSecretRef: Secret team-a/smtp")


@given(specs.cases())
def test_flat_keys_are_keys_of_a_config_map(case: Case) -> None:
    """The apiserver takes every key and value."""
    situation, reads = case
    flat = codec.flat_keys(resolve.conclude(resolve.plan(situation), reads).effective)
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in flat)
    assert all(isinstance(value, str) for value in flat.values())


def _key(host: tiers.Json | None, org: tiers.Json) -> str:
    return codec.probe_key(tiers.settle(host, org))


def test_who_shares_server_credentials_and_envelope_shares_a_probe() -> None:
    """What a probe does not touch does not make another probe, and the host's own is that of who inherits all."""
    key = _key(tiers.RELAY, {})
    assert codec.probe_key(tiers.conclude_host(tiers.RELAY).effective) == key
    assert _key(tiers.RELAY, {"from": {"displayName": "A"}, "delivery": {"ratePerMinute": 5}, "suspend": True}) == key
    newer = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/2", annotation="relay.example.com")
    assert codec.probe_key(tiers.conclude(tiers.RELAY, {}, secret=newer).effective) == key


@pytest.mark.parametrize(
    ("host", "org"),
    [
        ({}, tiers.OWN),
        ({}, {"auth": {"username": "relay", "passwordSecretRef": {"name": "relay"}}}),
        ({}, {"auth": {"mechanism": "Anonymous"}}),
        ({"delivery": {"heloName": "x.example.com"}}, {}),
        ({"from": {"address": "other@example.com"}}, {}),
        ({"from": {"address": "no-reply@example.com", "envelope": "bounces@example.com"}}, {}),
        ({"smtp": {"host": "relay.example.com", "tls": {"minVersion": "TLS1.3"}}}, {}),
        ({"smtp": {"host": "relay.example.com", "tls": {"caRef": {"kind": "Secret", "name": "ca"}}}}, {}),
        ({"policy": {"endpoints": {"hostAllow": ["127.0.0.0/8"]}}}, {}),
    ],
)
def test_what_a_probe_touches_makes_another_probe(host: tiers.Json, org: tiers.Json) -> None:
    """Endpoint, credentials, EHLO name and envelope are what a probe is of."""
    assert _key({**tiers.RELAY, **host}, org) not in {"", _key(tiers.RELAY, {})}


def test_without_a_server_there_is_nothing_to_probe() -> None:
    """No endpoint or no credentials: no key."""
    assert _key(None, {}) == ""
    assert _key(tiers.RELAY, {"smtp": {"host": "smtp.example.org"}}) == ""


def test_durations_are_whole_seconds() -> None:
    """A duration is written as a number of seconds."""
    settings = tiers.settle({**tiers.RELAY, "delivery": {"maxAge": "1h30m"}}, {})
    assert json.loads(codec.encode(settings))["settings"]["delivery"]["max_age_seconds"] == 5400
    assert settings.delivery.max_age == dt.timedelta(minutes=90)
