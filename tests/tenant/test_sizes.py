"""Sizes: values as large as they may be, and larger, to make somebody else pay for them."""

import json
import random
import sys
import time
import types
from collections.abc import Callable

import pytest

from kit import arena as arena_kit
from kit import attacks, handshakes, wait
from kit.corpus import largest
from mailtier.api import names
from mailtier.handlers import bundle_reads
from mailtier.mail import quoting, replies
from mailtier.settings import binding, bundles, passwords

_MANY = 1001


def _beyond(name: str, story: str, spec: attacks.Json, says: str, *, kind: str = names.ORG_KIND) -> attacks.Refused:
    return attacks.Refused(
        name=name,
        rules=("R10",),
        story=story,
        stopped_by="every string, list and map is bounded",
        kind=kind,
        spec=spec,
        says=says,
        offline=says if kind == names.ORG_KIND and "may not" not in says else "",
    )


def _alert(**content: object) -> attacks.Json:
    return {"category": "JobAlert", **content}


REFUSED = (
    _beyond(
        "a-hundred-recipients",
        "A category gets a hundred recipients, each of which is a message.",
        {"notifications": {"jobAlert": {"recipients": [f"{number}@a.example" for number in range(100)]}}},
        "spec.notifications.jobAlert.recipients",
    ),
    _beyond(
        "a-crowd-of-recipients",
        "A Notification names twenty-one recipients.",
        _alert(recipients=[f"{number}@a.example" for number in range(21)]),
        "spec.recipients",
        kind=names.NOTIFICATION_KIND,
    ),
    _beyond(
        "a-book-as-text",
        "A Notification holds a megabyte of text.",
        _alert(text="a" * 1_000_000),
        "spec.text",
        kind=names.NOTIFICATION_KIND,
    ),
    _beyond(
        "a-book-as-data",
        "A Notification holds 256 KiB in its data, and text beside it.",
        _alert(text="a" * 60_000, data={f"k{number}": "a" * 4096 for number in range(64)}),
        "256 KiB",
        kind=names.NOTIFICATION_KIND,
    ),
    _beyond(
        "a-name-without-end",
        "A server's name has ten thousand letters.",
        {"smtp": {"host": "a." * 5_000 + "example"}},
        "spec.smtp.host",
    ),
    _beyond(
        "an-age-without-end",
        "Messages are to be tried for ten years.",
        {"delivery": {"maxAge": "87600h"}},
        "must be between",
    ),
    _beyond(
        "a-thousand-connections",
        "The organization opens a thousand connections to somebody's server.",
        {"smtp": {"host": "smtp.example.org"}, "delivery": {"maxConnections": 1000}},
        "maxConnections",
    ),
)

STORIES = (
    attacks.Story(
        name="everything-at-its-bound",
        test="test_rules_can_be_evaluated_at_every_bound",
        rules=("R10",),
        story="Every list, map and string is as large as it may be, for a rule to become too expensive to evaluate.",
        stopped_by="each CEL rule is accepted and evaluated at all bounds at once",
    ),
    attacks.Story(
        name="a-thousand-and-one-certificates",
        test="test_a_bundle_that_costs_too_much_is_not_used",
        rules=("R10",),
        story="The CA bundle holds one certificate more than may be loaded for each session.",
        stopped_by="at most 1,000 certificates",
    ),
    attacks.Story(
        name="many-giant-bundles",
        test="test_a_namespace_s_bundles_have_a_share",
        rules=("R10", "R15"),
        story="Each organization of a namespace has a CA bundle of half a mebibyte, and every copy of it takes memory.",
        stopped_by="the bundles of a namespace have 4 MiB together",
    ),
    attacks.Story(
        name="a-bundle-of-beginnings",
        test="test_a_bundle_that_costs_too_much_is_not_used",
        rules=("R10",),
        story="The bundle begins thousands of certificates and ends none, for a pattern that looks back.",
        stopped_by="its size is looked at before its content",
    ),
    attacks.Story(
        name="a-key-in-the-bundle",
        test="test_a_bundle_that_costs_too_much_is_not_used",
        rules=("R1", "R10"),
        story="The bundle holds a private key beside its certificate, which would be published with it.",
        stopped_by="only certificates belong in a bundle",
    ),
    attacks.Story(
        name="a-giant-annotation",
        test="test_a_giant_annotation_is_read_and_not_repeated",
        rules=("R10", "R15"),
        story="The annotation of a Secret lists a quarter of a megabyte, to be kept and told for every organization.",
        stopped_by="one of more than 8,192 characters lists nothing, and is not kept",
    ),
    attacks.Story(
        name="an-expensive-reply",
        test="test_an_expensive_reply_is_cheap",
        rules=("R7", "R10"),
        story="A server's reply is made for the patterns that search it for secrets.",
        stopped_by="no more than 1,024 characters are examined, and no run of them once for each of its characters",
    ),
    attacks.Story(
        name="a-flood-of-replies",
        test="test_a_flood_of_replies_is_cheap",
        rules=("R10", "R15"),
        story="A server sends replies by the ten thousand, as short as they may be, for the sender to read them all.",
        stopped_by="eight replies are read that nobody has made use of",
    ),
)

ATTACKS = (*REFUSED, *STORIES)


@pytest.mark.parametrize("attack", REFUSED, ids=str)
def test_what_is_larger_than_it_may_be_is_refused(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """The schema names the field (R10)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("kind", [names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND])
def test_rules_can_be_evaluated_at_every_bound(arena: arena_kit.Arena, kind: str) -> None:
    """The API server takes an object in which everything is at its bound: no rule is too expensive (R10)."""
    tried = [case.document for case in largest.accepted() if case.kind == kind]
    assert tried
    for document in tried:
        status, answer = arena.try_put(document, dryRun="All")
        assert status in {200, 201}, answer


@pytest.mark.parametrize("name", ["a-thousand-and-one-certificates", "a-bundle-of-beginnings", "a-key-in-the-bundle"])
def test_a_bundle_that_costs_too_much_is_not_used(attacker: arena_kit.Attacker, name: str) -> None:
    """Core and operator refuse it, and say how many and how much are allowed (R1, R10)."""
    arena = attacker.arena
    pem = arena.authority.ca_pem
    key = arena.secret(name)
    text = {
        "a-thousand-and-one-certificates": pem * _MANY,
        "a-bundle-of-beginnings": "-----BEGIN CERTIFICATE-----\n" * 30_000,
        "a-key-in-the-bundle": f"{pem}-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n",
    }[name]
    with pytest.raises(bundles.BundleError) as caught:
        bundles.parse(text)
    attacker.bring(arena.secret(f"{name}: password", username="robot"), endpoint="smtp.example.org")
    arena.put(arena_kit.config_map(attacker.namespace, "large", {"ca.crt": text}))
    attacker.settings(attacks.server("smtp.example.org", caRef={"kind": "ConfigMap", "name": "large"}))
    told = attacker.until_reason("CaInvalid")["message"]
    assert str(caught.value) in told
    assert key not in told


def test_a_namespace_s_bundles_have_a_share(attacker: arena_kit.Attacker) -> None:
    """Of many large bundles those are used that fit into the namespace's share, and the others told (R10, R15)."""
    arena = attacker.arena
    certificates = handshakes.authorities(_MANY - 1)
    size = sum(map(len, certificates))
    fitting = bundle_reads.BYTES_PER_NAMESPACE // size
    for number in range(fitting + 2):
        # In another order it is another bundle.
        text = "".join(certificates[number:] + certificates[:number])
        arena.put(arena_kit.config_map(attacker.namespace, f"large-{number}", {"ca.crt": text}))
        server = attacks.server("smtp.example.org", caRef={"kind": "ConfigMap", "name": f"large-{number}"})
        attacker.settings(server | {"auth": {"mechanism": "Anonymous"}}, name=f"large-{number}")

    def invalid() -> int:
        reasons = [attacker.condition("Ready", name=f"large-{number}").get("reason") for number in range(fitting + 2)]
        return 0 if None in reasons else reasons.count("CaInvalid")

    assert wait.until(invalid, within_seconds=arena_kit.WITHIN, why="some are refused", poll_seconds=0.2) == 2


def test_a_giant_annotation_is_read_and_not_repeated(attacker: arena_kit.Attacker) -> None:
    """A quarter of a megabyte of entries lists nothing, and is repeated nowhere (R10, R15)."""
    annotation = ",".join(f"smtp-{number}.example.org:{1 + number % 65535}" for number in range(9_000))
    assert binding.parse(annotation) == ()
    assert len(binding.parse(annotation[: binding.MAXIMUM_LENGTH].rpartition(",")[0])) > 200
    attacker.bring(attacker.arena.secret("a-giant-annotation", username="robot"), endpoint=annotation)
    attacker.settings(attacks.server("smtp.example.org"))
    told = attacker.until_reason("SecretNotBound")["message"]
    assert f"more than {binding.MAXIMUM_LENGTH} characters" in told
    assert len(json.dumps(attacker.status())) < 20_000
    assert len(json.dumps(attacker.effective())) < 40_000


def _cost(work: Callable[[], object]) -> float:
    """Return the processor time of the quickest of several runs."""

    def once() -> float:
        started = time.thread_time()
        for _ in range(5):
            work()
        return time.thread_time() - started

    return min(once() for _ in range(7))


_EXPENSIVE = ("A" * 8192, "_" * 8192, "aA0" * 2700, "a0_" * 2700, "a=" * 4000, "password: " * 800, "/+-_" * 2000)


@pytest.mark.parametrize("text", _EXPENSIVE, ids=lambda text: text[:4])
def test_an_expensive_reply_is_cheap(text: str) -> None:
    """Whatever the text, it costs about what ordinary words cost, and the rest is not examined (R7, R10)."""
    words = "The message was not taken, and this is why. " * 190
    known = quoting.KnownSecrets(["secret-of-a-session"])
    assert len(quoting.quotable(text, known)) <= quoting.MAXIMUM_QUOTE_LENGTH
    assert _cost(lambda: quoting.quotable(text, known)) < 8 * _cost(lambda: quoting.quotable(words, known))


def test_a_long_secret_costs_little() -> None:
    """A password as long as it may be is made ready once for all replies, and looked for in few steps (R7, R10)."""
    chance = random.Random(7)  # noqa: S311 - Repeatable on purpose.
    password = "".join(chance.choice("aA0+/=_-%$") for _ in range(passwords.MAXIMUM_BYTES))
    known, words = quoting.KnownSecrets([password, f"\0robot\0{password}"]), "The message was not taken. " * 300
    mixed = words[:100] + password[40:80] + words
    assert password[40:80] not in quoting.quotable(mixed, known)
    assert _cost(lambda: quoting.quotable(words, known)) < 50 * _cost(lambda: quoting.quotable(words))


def _lines_read(data: bytes) -> int:
    """Return how many calls it takes to read what a server sent at once."""
    parser, calls = replies.ReplyParser(), 0

    def count(_frame: types.FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parser.receive(data)
    finally:
        sys.setprofile(before)
    assert parser.is_broken
    return calls


@pytest.mark.parametrize("reply", [b"250\r\n", b"250-\r\n" * 63 + b"250\r\n"], ids=["short", "long"])
def test_a_flood_of_replies_is_cheap(reply: bytes) -> None:
    """However many replies come at once, a few are read, and the others cost nothing (R10, R15)."""
    few, many = reply * (replies.MAXIMUM_REPLIES + 1), reply * (256 * 1024 // len(reply))
    assert _lines_read(many) <= _lines_read(few)
    assert _cost(lambda: replies.ReplyParser().receive(many)) < 20 * _cost(lambda: replies.ReplyParser().receive(few))
