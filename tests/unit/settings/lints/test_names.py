"""What lints guess of names by looking at them."""

import pytest

from mailtier.settings.lints import names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com", "example.com"),
        ("mail.example.com", "example.com"),
        ("mail.example.co.uk", "example.co.uk"),
        ("mail.example.or.jp", "example.or.jp"),
        ("co.uk", "co.uk"),
        # Suffixes that are not among the known ones: the guess is too short.
        ("mail.example.me.uk", "me.uk"),
        ("com", "com"),
    ],
)
def test_the_registered_part_is_guessed(name: str, expected: str) -> None:
    """Two labels, or three below the labels under which countries give names out."""
    assert names.organizational(name) == expected


def test_below_a_suffix_that_few_use_strangers_count_as_related() -> None:
    """There the guess errs so that a lint says nothing, not so that it accuses."""
    assert names.are_related("mail.example.me.uk", "smtp.other.me.uk")
    assert not names.are_related("mail.example.co.uk", "smtp.other.co.uk")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("relay.localhost", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_a_loopback_host_is_the_machine_that_looks_it_up(host: str, expected: bool) -> None:
    """By its name (RFC 6761) or by its address."""
    assert names.is_loopback(host) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relay", True),
        ("relay.mail", True),
        ("relay.mail-2", True),
        ("relay.team1", True),
        ("relay.mail.svc", True),
        ("relay.mail.svc.cluster.local", False),
        ("example.com", False),
        ("example.xn--p1ai", False),
        ("mail.example.mail", False),
        ("relay.corp", False),
    ],
)
def test_a_name_that_only_a_search_list_finds_is_known_by_its_looks(name: str, expected: bool) -> None:
    """A Service, alone or with its namespace; a company may have a zone `corp` of its own."""
    assert names.is_relative_to_a_cluster(name) is expected
