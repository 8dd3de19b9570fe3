"""The same job and snapshot are the same bytes."""

import dataclasses
import email
import email.policy
import json

import pytest

from kit import dying
from mailtier.api import addresses, vocabulary
from mailtier.mail import render
from mailtier.sender import ports
from mailtier.sender.delivering import builder, templates
from mailtier.settings import effective

_FROM = effective.From(
    address="noreply@example.com", display_name="Beispiel GmbH", reply_to=None, envelope="bounce@example.com"
)
_OTHER = effective.From(
    address="new@example.net", display_name=None, reply_to="help@example.com", envelope="new@example.com"
)
_JOB = dying.job(1)


@pytest.fixture(scope="module")
def messages() -> builder.Builder:
    """Return a builder with the templates of the package."""
    return builder.Builder(templates.Templates())


def test_envelope_and_header_are_told_apart(messages: builder.Builder) -> None:
    """MAIL FROM is the envelope address, the From header the sender's."""
    built = messages.build(_JOB, _FROM)
    assert (built.mail_from, built.rcpt_to) == ("bounce@example.com", "a@example.org")
    assert b"From: Beispiel GmbH <noreply@example.com>" in built.data
    assert b"bounce@" not in built.data


def test_a_snapshot_gives_the_same_bytes_under_other_settings(messages: builder.Builder) -> None:
    """What was in doubt is built from what it was built with first, in another process too."""
    first = messages.build(_JOB, _FROM)
    again = builder.Builder(templates.Templates()).build(dataclasses.replace(_JOB, snapshot=first.snapshot), _OTHER)
    assert again == first
    assert messages.build(_JOB, _OTHER).data != first.data


def test_a_message_keeps_the_domain_of_its_message_id(messages: builder.Builder) -> None:
    """What was built before has its Message-ID also where From is another by now; what was not has From's domain."""
    first = messages.build(_JOB, _FROM)
    again = messages.build(dataclasses.replace(_JOB, id_domain=first.id_domain), _OTHER)
    assert (first.id_domain, again.id_domain) == ("example.com", "example.com")
    assert [email.message_from_bytes(each.data)["Message-ID"] for each in (first, again)] == ["<n-1.1@example.com>"] * 2
    assert b"From: new@example.net" in again.data
    assert messages.build(_JOB, _OTHER).id_domain == "example.net"


def test_a_snapshot_outlives_its_templates(messages: builder.Builder) -> None:
    """An upgrade that changes a template does not change a message that is resent."""
    first = messages.build(_JOB, _FROM)
    document = json.loads(first.snapshot.settings)
    document["template"]["text"] = "Former wording: {{ text }}"
    former = ports.Snapshot(settings=json.dumps(document))
    assert b"Former wording: It ran" in messages.build(dataclasses.replace(_JOB, snapshot=former), _FROM).data


def test_a_snapshot_holds_nothing_of_the_notification(messages: builder.Builder) -> None:
    """Snapshots are shared and kept; no recipient, subject or text is in them (R11)."""
    told = messages.build(_JOB, _FROM).snapshot.settings
    for part in ("a@example.org", "Nightly", "memory"):
        assert part not in told


def test_organizations_share_snapshots(messages: builder.Builder) -> None:
    """The same sender and template are one snapshot, however many messages there are."""
    other = dataclasses.replace(_JOB, recipient_number=2, text="Other", rcpt_to="b@example.org")
    assert messages.build(_JOB, _FROM).snapshot is messages.build(other, _FROM).snapshot


@pytest.mark.parametrize("category", list(vocabulary.Category))
def test_every_category_has_templates(category: vocabulary.Category) -> None:
    """Each locale is complete, and none has the templates of another."""
    sources = templates.Templates()
    found = [sources.find(category, locale) for locale in vocabulary.Locale]
    assert all(isinstance(each, render.Sources) for each in found)
    assert len(set(found)) == len(vocabulary.Locale)


def test_the_locale_decides_the_language(messages: builder.Builder) -> None:
    """The message's templates and its Content-Language are those of the notification's locale."""
    japanese = dataclasses.replace(_JOB, locale=vocabulary.Locale.JAPANESE, subject=None, text=None)
    parsed = email.message_from_bytes(messages.build(japanese, _FROM).data, policy=email.policy.default)
    assert parsed["content-language"] == "ja"
    assert parsed["subject"] == "【エラー】ジョブアラート（team-a）"  # noqa: RUF001  # Japanese brackets.
    assert b"Content-Language: en\r\n" in messages.build(_JOB, _FROM).data


def test_a_resend_in_japanese_is_the_same_bytes(messages: builder.Builder) -> None:
    """Language and words are part of what a message was built with, whatever the locale is called since."""
    japanese = dataclasses.replace(_JOB, locale=vocabulary.Locale.JAPANESE, data={"job": "夜間バッチ"})
    first = messages.build(japanese, _FROM)
    again = dataclasses.replace(japanese, locale=vocabulary.Locale.ENGLISH, snapshot=first.snapshot)
    assert builder.Builder(templates.Templates()).build(again, _OTHER) == first


def test_a_snapshot_from_before_there_were_languages_gives_the_same_bytes(messages: builder.Builder) -> None:
    """What an earlier release built without Content-Language is resent without it."""
    first = messages.build(_JOB, _FROM)
    document = json.loads(first.snapshot.settings)
    del document["language"], document["template"]["words"]
    former = ports.Snapshot(settings=json.dumps(document))
    resent = messages.build(dataclasses.replace(_JOB, snapshot=former), _FROM)
    assert resent.data == first.data.replace(b"Content-Language: en\r\n", b"")
    assert resent.snapshot == former


def test_the_message_id_is_in_the_domain_of_from(messages: builder.Builder) -> None:
    """Its domain is what From's is on the wire, until the message may have been taken; then it stays (R4)."""
    international = dataclasses.replace(_FROM, address="noreply@bücher.example")
    first = messages.build(_JOB, international)
    assert b"\r\nMessage-ID: <n-1.1@xn--bcher-kva.example>\r\n" in first.data
    # Refused, and then the settings were changed: nobody has the first one.
    assert b"\r\nMessage-ID: <n-1.1@example.net>\r\n" in messages.build(_JOB, _OTHER).data
    # In doubt, and then the settings were changed: somebody may have it.
    doubtful = dataclasses.replace(_JOB, snapshot=first.snapshot)
    assert messages.build(doubtful, _OTHER).data == first.data


def test_a_snapshot_from_before_ids_had_the_domain_of_from_gives_the_same_bytes(messages: builder.Builder) -> None:
    """What an earlier release left in doubt is resent with the Message-ID that it had."""
    first = messages.build(_JOB, _FROM)
    document = json.loads(first.snapshot.settings)
    del document["idDomain"]
    resent = messages.build(dataclasses.replace(_JOB, snapshot=ports.Snapshot(settings=json.dumps(document))), _OTHER)
    assert b"\r\nMessage-ID: <n-1.1@mailtier.dev>\r\n" in resent.data


def test_an_address_that_is_none_is_refused(messages: builder.Builder) -> None:
    """What is no address reaches no envelope (R5)."""
    with pytest.raises(addresses.AddressError):
        messages.build(dataclasses.replace(_JOB, rcpt_to="a@example.org>\r\nRCPT TO:<b@example.org"), _FROM)
