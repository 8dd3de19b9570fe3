"""Senders: mail that claims to be from the host, or from somebody else."""

import datetime as dt
import email
import email.policy

import pytest

from kit import arena as arena_kit
from kit import attacks
from mailtier.api import addresses, names
from mailtier.mail import message

_ADDRESS = "must be one plain e-mail address"
_LINE = "must be one line without control characters"


def _written(name: str, story: str, says: str, **sender: str) -> attacks.Refused:
    return attacks.Refused(
        name=name,
        rules=("R3", "R5"),
        story=f"The organization writes {story} into its From.",
        stopped_by="an address is one plain address" if says == _ADDRESS else "a name is one line without controls",
        spec={"from": sender},
        says=says,
    )


SPELLINGS = (
    _written("from-with-a-line-break", "a second header", _ADDRESS, address="a@b.example\r\nBcc: c@d.example"),
    _written("from-with-a-display-name", "a display name", _ADDRESS, address="Platform <no-reply@platform.example>"),
    _written("from-with-a-comment", "a comment", _ADDRESS, address="no-reply(x)@platform.example"),
    _written("from-as-a-group", "a group", _ADDRESS, address="platform:no-reply@platform.example;"),
    _written("two-addresses", "two addresses", _ADDRESS, address="a@b.example,no-reply@platform.example"),
    _written("quoted-local-part", "a quoted local part", _ADDRESS, address='"no-reply@platform.example"@b.example'),
    _written("address-literal", "an address literal", _ADDRESS, address="no-reply@[127.0.0.1]"),
    _written("source-route", "a source route", _ADDRESS, address="@relay.example:no-reply@platform.example"),
    _written("envelope-with-a-command", "a command", _ADDRESS, envelope="a@b.example>\r\nRCPT TO:<c@d.example"),
    _written("envelope-with-parameters", "parameters of MAIL", _ADDRESS, envelope="a@b.example> SIZE=1 AUTH=<c"),
    _written("percent-hack", "an address for the relay behind it", _ADDRESS, address="ceo%platform.example@b.example"),
    _written("bang-path", "a path before it", _ADDRESS, envelope="platform.example!ceo@b.example"),
    _written("reply-to-with-nul", "NUL", _ADDRESS, replyTo="a@b.example\x00"),
    _written("name-with-a-line-break", "a header in its name", _LINE, displayName="Platform\r\nBcc: c@d.example"),
    _written(
        "name-with-a-separator", "a line separator in its name", _LINE, displayName="Platform\u2028Bcc: c@d.example"
    ),
    _written("name-written-backwards", "a name in another direction", _LINE, displayName="\u202eelpmaxe.mroftalp"),
    _written(
        "name-with-a-zero-width-space", "a name that only looks like another", _LINE, displayName="Plat\u200bform"
    ),
    _written("name-with-tags", "tags that nobody sees in its name", _LINE, displayName="Platform\U000e0061\U000e007f"),
    _written("name-with-an-idle-joiner", "a joiner that joins nothing", _LINE, displayName="platform\u200d.example"),
    _written("name-with-an-escape", "a terminal's control sequence", _LINE, displayName="\x1b]0;Platform\x07"),
)


def _named(name: str, story: str, reason: str = "FromNotAllowed", **sender: str) -> attacks.Judged:
    return attacks.Judged(
        name=name,
        rules=("R3",),
        story=f"On the host's server, the organization sends as {story}.",
        stopped_by="on the host's endpoint From, Reply-To and envelope are the host's, or listed in policy.from.allow",
        spec={"from": sender},
        reason=reason,
    )


SENDERS = (
    _named("a-colleague-of-the-host", "somebody else of the host's domain", address="ceo@platform.example"),
    _named(
        "another-organization",
        "another organization, whose address the policy gives it",
        address="team-b@platform.example",
    ),
    _named("the-placeholder-itself", "{namespace}, word for word", address="{namespace}@platform.example"),
    _named("a-tag-on-the-host-s-address", "the host's address with a tag", address="no-reply+x@platform.example"),
    _named("below-the-host-s-domain", "a domain below the host's", address="no-reply@mail.platform.example"),
    _named(
        "behind-the-host-s-domain",
        "a domain that begins like the host's",
        address="no-reply@platform.example.evil.example",
    ),
    _named("reply-to-elsewhere", "the host, with answers to itself", replyTo="attacker@evil.example"),
    _named("envelope-elsewhere", "the host, with bounces of others to itself", envelope="attacker@evil.example"),
    _named(
        "a-look-alike-domain",
        "an international domain that looks like the host's",
        address="no-reply@xn--pltform-exa.example",
    ),
    attacks.Judged(
        name="own-credentials-on-the-host-s-server",
        rules=("R3",),
        story="The organization authenticates at the host's server with an account of its own, to send as anybody.",
        stopped_by="the sender is judged by the endpoint, whoever authenticates",
        spec={
            "auth": {"username": "robot", "passwordSecretRef": {"name": "smtp"}},
            "from": {"address": "ceo@platform.example"},
        },
        reason="FromNotAllowed",
    ),
)

STORIES = (
    attacks.Story(
        name="caller-sets-headers",
        test="test_callers_set_no_headers",
        rules=("R5",),
        story="A caller of the intake sends from, replyTo, headers or bcc with its notification.",
        stopped_by="there are no such fields",
    ),
    attacks.Story(
        name="encoded-word-as-a-name",
        test="test_a_name_stays_a_name",
        rules=("R5",),
        story="The display name is an encoded word that decodes to a line break and another address.",
        stopped_by="what reads as an encoded word is encoded once more",
    ),
    attacks.Story(
        name="address-as-a-name",
        test="test_a_name_stays_a_name",
        rules=("R5",),
        story="The display name closes the quotation and goes on with an address of its own.",
        stopped_by="quotation marks and backslashes in a name are escaped",
    ),
    attacks.Story(
        name="recipient-with-a-command",
        test="test_a_recipient_changes_no_command",
        rules=("R5",),
        story="A caller names a recipient that ends its command and begins another.",
        stopped_by="a recipient is one plain address",
    ),
    attacks.Story(
        name="a-crowd-in-one-header",
        test="test_recipients_do_not_see_each_other",
        rules=("R5",),
        story="A caller names many recipients, so that each reads who the others are.",
        stopped_by="one message for each recipient, whose To names nobody else",
    ),
)

ATTACKS = (*SPELLINGS, *SENDERS, *STORIES)
_NAMES = {
    "encoded-word-as-a-name": "=?utf-8?q?=0D=0ABcc:_x=40evil.example?=",
    "address-as-a-name": 'Platform" <ceo@platform.example>, "\\',
}


@pytest.fixture(scope="module")
def played(arena: arena_kit.Arena) -> dict[str, arena_kit.Attacker]:
    """Return the tenants of the attacks that the operator judges, which all begin at once."""
    return attacks.begin(arena, SENDERS)


@pytest.mark.parametrize("attack", SPELLINGS, ids=str)
def test_other_forms_of_a_sender_are_not_taken(arena: arena_kit.Arena, attack: attacks.Refused) -> None:
    """What could be read as more than one address or one name is refused (R3, R5)."""
    attack.check(arena.rest)


@pytest.mark.parametrize("attack", SENDERS, ids=str)
def test_the_core_blocks_the_sender(attack: attacks.Judged) -> None:
    """Nobody sends as the host or as another through the host's server (R3)."""
    attack.check_core()


@pytest.mark.parametrize("attack", SENDERS, ids=str)
def test_the_operator_blocks_the_sender(played: dict[str, arena_kit.Attacker], attack: attacks.Judged) -> None:
    """The operator says the same of it as the core (R3)."""
    attack.check_real(played[attack.name])


@pytest.mark.parametrize("name", list(_NAMES))
def test_a_name_stays_a_name(name: str) -> None:
    """However the display name is written, the header has one address, and no other header comes of it (R5)."""
    built = message.serialize(
        message.Message(
            from_=addresses.parse("robot@tenant.example"),
            from_name=_NAMES[name],
            to=addresses.parse("somebody@example.org"),
            subject="Something happened",
            text="It failed.",
            date=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            message_id="1@sender.test",
        )
    )
    parsed = email.message_from_bytes(built, policy=email.policy.default)
    assert parsed["Bcc"] is None
    (sender,) = parsed["From"].addresses
    assert (sender.addr_spec, sender.display_name) == ("robot@tenant.example", _NAMES[name])


@pytest.mark.parametrize("field", ["from", "replyTo", "headers", "bcc", "envelope"])
def test_callers_set_no_headers(attacker: arena_kit.Attacker, field: str) -> None:
    """A field that would set a header is no field of a notification, over HTTPS or as an object (R5)."""
    attacker.settings({})
    attacker.until_reason("Published")
    answer = attacker.post(arena_kit.ALERT | {field: "ceo@platform.example"})
    assert answer.status == 422
    assert answer.document["errors"][0]["pointer"] == f"#/{field}"
    refused = attacks.Refused(
        name="",
        rules=(),
        story="",
        stopped_by="",
        kind=names.NOTIFICATION_KIND,
        spec=arena_kit.ALERT | {field: "ceo@platform.example"},
        says=field,
    )
    refused.check(attacker.arena.rest)


@pytest.mark.parametrize(
    "recipient",
    ["a@b.example>\r\nDATA\r\n.\r\n", "a@b.example> NOTIFY=NEVER", "a@b.example, c@d.example", "<a@b.example>"],
)
def test_a_recipient_changes_no_command(attacker: arena_kit.Attacker, recipient: str) -> None:
    """A recipient that is more than an address is refused before anything is queued (R5)."""
    attacker.settings({})
    attacker.until_reason("Published")
    answer = attacker.post(arena_kit.ALERT | {"recipients": [recipient]})
    assert answer.status == 422
    assert recipient not in str(answer.document)


def test_recipients_do_not_see_each_other(attacker: arena_kit.Attacker) -> None:
    """Each recipient has a message of their own (R5)."""
    attacker.settings({})
    attacker.until_reason("Published")
    crowd = [f"{number}@{attacker.namespace}.example" for number in range(3)]
    taken = attacker.post(arena_kit.ALERT | {"recipients": crowd})
    attacker.until_complete(taken)
    arrived = [each for each in attacker.arena.relay.messages if any(attacker.namespace in to for to in each.rcpt_to)]
    assert sorted(each.rcpt_to for each in arrived) == [(to,) for to in crowd]
    for each in arrived:
        assert [str(each.parsed()["To"])] == list(each.rcpt_to)
        assert sum(to.encode() in each.data for to in crowd) == 1
