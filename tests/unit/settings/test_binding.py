"""Which endpoints a Secret's annotation names, and the line that adds one (R3)."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import specs, tiers
from mailtier.settings import binding


def _server(host: str, port: int = 587) -> binding.BoundServer:
    return binding.BoundServer(name=binding.normalize_host(host), port=port)


def _login(host: str, port: int = 443) -> binding.BoundServer:
    return binding.BoundServer(name=host, port=port, is_token_server=True)


def _is_bound(annotation: str | None, server: binding.BoundServer) -> bool:
    return binding.unbound(annotation, [server]) == ()


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        ("SMTP.Example.COM", "smtp.example.com"),
        ("smtp.example.com.", "smtp.example.com"),
        ("xn--exmple-cua.com", "xn--exmple-cua.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)
def test_a_host_has_one_spelling(written: str, normalized: str) -> None:
    """Case, a trailing dot and the zeros of an IPv6 address make no difference."""
    assert binding.normalize_host(written) == normalized
    assert binding.normalize_host(normalized) == normalized


@pytest.mark.parametrize(
    "annotation",
    [
        # KELVIN SIGN and LONG S, which str.lower and str.casefold map onto k and s.
        "mail.ban\u212a.example",
        "mail.bank.example\u2024",
        "\u017fmtp.bank.example",
        "mail.bank.example:\u0665\u0668\u0667",
        "mail.bank.example:\uff15\uff18\uff17",
        # Blanks and separators that str.strip takes.
        "\u00a0mail.bank.example",
        "mail.bank.example\x1c",
        "\u3000mail.bank.example\u2003",
    ],
)
def test_letters_beyond_ascii_bind_nothing(annotation: str) -> None:
    """What only looks like a server's name, or becomes one by Unicode's rules, is no consent (R3)."""
    for host in ("mail.bank.example", "smtp.bank.example"):
        assert not _is_bound(annotation, _server(host))
    assert "bank" not in "".join(str(entry) for entry in binding.parse(annotation))


@given(st.text())
def test_a_host_that_is_normalized_differs_in_ascii_alone(host: str) -> None:
    """No character beyond ASCII appears, disappears or becomes another (R3)."""
    normalized = binding.normalize_host(host)
    assert [char for char in normalized if not char.isascii()] == [char for char in host if not char.isascii()]


@pytest.mark.parametrize(
    ("annotation", "host", "port"),
    [
        ("smtp.example.com:587", "smtp.example.com", 587),
        ("smtp.example.com", "smtp.example.com", 2525),
        ("SMTP.Example.com.:587", "smtp.example.com", 587),
        (" a.example.com:25 ,  smtp.example.com:587 ,", "smtp.example.com", 587),
        ("192.0.2.1:25", "192.0.2.1", 25),
        ("[2001:DB8::0:1]:587", "2001:db8::1", 587),
        ("[2001:db8::1]", "2001:db8::1", 25),
        ("*.example.com,smtp.example.com:587", "smtp.example.com", 587),
    ],
)
def test_an_endpoint_is_bound_that_is_listed(annotation: str, host: str, port: int) -> None:
    """An entry names a host, and a port or any; what cannot be read beside it does not matter."""
    assert _is_bound(annotation, _server(host, port))


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        "",
        ",",
        "*",
        "*:587",
        "*.example.com",
        "*.example.com:587",
        "example.com:587",
        "evil-smtp.example.com:587",
        "smtp.example.com.evil.example:587",
        "smtp.example.com:25",
        "smtp.example.com:5870",
        "smtp.example.com:0587",
        "smtp.example.com:+587",
        "smtp.example.com: 587",
        "smtp.example.com:\uff15\uff18\uff17",
        "smtp.example.com:",
        "smtp.example.com:587:587",
        "smtp.example.com..:587",
        "[smtp.example.com]:587",
        "smtps://smtp.example.com:587",
        "smtp.example.com:587/",
        "smtp.example.com;587",
        "user@smtp.example.com:587",
    ],
)
def test_an_endpoint_is_not_bound_by_anything_like_it(annotation: str | None) -> None:
    """There is no wildcard, no suffix, and no lenient reading (R3)."""
    assert not _is_bound(annotation, _server("smtp.example.com", 587))


@pytest.mark.parametrize("annotation", ["2001:db8::1:587", "2001:db8::1", "[2001:db8::1%eth0]:587", "[2001:db8::1"])
def test_ipv6_needs_brackets(annotation: str) -> None:
    """The last group of an address without brackets could be a port, so that it is neither."""
    assert not _is_bound(annotation, _server("2001:db8::1", 587))
    assert binding.parse(annotation) == ()


def test_the_command_keeps_what_is_bound_already() -> None:
    """The line that mends a binding repeats the entries that are there, normalized, and adds what is wanted."""
    command = binding.annotate_command(
        namespace="team-a",
        name="smtp",
        annotation="Old.example.com:25, [2001:DB8::1]",
        wanted=[_server("smtp.example.com"), _login("login.example.com")],
    )
    assert command == (
        "kubectl annotate secret -n team-a smtp"
        " 'mailtier.dev/endpoint=old.example.com:25,[2001:db8::1],smtp.example.com:587,"
        "https://login.example.com' --overwrite"
    )


@given(annotation=st.text() | specs.annotations(), host=st.sampled_from(specs.HOSTS))
def test_the_command_binds_and_is_one_command(annotation: str | None, host: str) -> None:
    """Whatever the annotation holds, the line has eight words for a shell, and its value binds the server."""
    server = _server(host)
    command = binding.annotate_command(namespace="team-a", name="smtp", annotation=annotation, wanted=[server])
    words = shlex.split(command)
    assert len(words) == 8
    key, _, value = words[6].partition("=")
    assert key == "mailtier.dev/endpoint"
    assert _is_bound(value, server)
    assert set(binding.parse(annotation)) <= set(binding.parse(value))
    assert not set(command) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:,[]/=' ")


@given(specs.annotations())
def test_entries_are_read_back_as_they_are_written(annotation: str | None) -> None:
    """Writing entries and reading them again changes nothing."""
    entries = binding.parse(annotation)
    assert binding.parse(",".join(map(str, entries))) == entries


def test_with_oauth2_both_servers_are_named() -> None:
    """The client's secret goes to the token server and the token to the endpoint, so that both need consent."""
    found = tiers.settle(None, tiers.OAUTH2)
    assert found.endpoint is not None
    assert found.auth is not None
    wanted = binding.servers(found.endpoint, found.auth)
    assert [str(server) for server in wanted] == ["smtp.example.org:587", "https://login.example.org"]
    assert binding.unbound("smtp.example.org", wanted) == wanted[1:]
    assert binding.unbound("https://login.example.org", wanted) == wanted[:1]


@pytest.mark.parametrize(
    ("annotation", "entry"),
    [
        ("https://login.example.com", _login("login.example.com")),
        ("https://Login.example.com.", _login("login.example.com")),
        ("https://login.example.com:8443", _login("login.example.com", 8443)),
        ("https://https://login.example.com", None),
        ("https://login.example.com/", None),
        ("https://login.example.com/token", None),
        ("http://login.example.com", None),
        ("https://", None),
        ("https://u@login.example.com", None),
    ],
)
def test_a_token_server_is_written_with_its_scheme(annotation: str, entry: binding.BoundServer | None) -> None:
    """Scheme, name and port say it all; a path would look like a limit and be none."""
    assert binding.parse(annotation) == (() if entry is None else (entry,))


def test_consent_for_tokens_is_none_for_a_password() -> None:
    """Whoever writes settings cannot have a client's secret or a refresh token sent to the server as a password."""
    annotation = "smtp.example.org:587,https://login.example.org"
    assert not _is_bound(annotation, _server("smtp.example.org"))
    assert _is_bound("smtp.example.org:587", _server("smtp.example.org"))
    assert not _is_bound("login.example.org:443", _login("login.example.org"))
    assert not _is_bound("https://smtp.example.org:587", _server("smtp.example.org"))
