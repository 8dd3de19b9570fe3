"""What a command line names: organizations, and time-outs."""

import datetime as dt

import pytest
import typer

from mailtier.cli.online import target


def test_a_number_alone_is_seconds() -> None:
    """As timeout(1) has it, beside the durations of settings."""
    assert target.parse_timeout("5") == target.parse_timeout("5s") == dt.timedelta(seconds=5)


@pytest.mark.parametrize(("text", "expected"), [("acme", "acme/default"), ("acme/sales", "acme/sales")])
def test_an_organization_is_named_by_its_namespace(text: str, expected: str) -> None:
    """The name may be left out where it is `default`."""
    assert str(target.OrganizationName.parse(text)) == expected


@pytest.mark.parametrize("text", ["", "/", "acme/", "/default", "a/b/c"])
def test_what_names_no_organization_is_a_usage_error(text: str) -> None:
    """Half a name is not guessed at."""
    with pytest.raises(typer.BadParameter):
        target.OrganizationName.parse(text)


@pytest.mark.parametrize("text", ["", "a", "smtp.example.com", "smtp.example.com:587", "[::1]:25", "[::1]", "::1"])
def test_a_server_is_a_host_with_or_without_a_port(text: str) -> None:
    """What names a server is handed on as it is written, and an option that is left out too."""
    assert target.require_server(text, "--destination") == text


@pytest.mark.parametrize("text", ["a:", ":25", "a:b", "a:0", "a:65536", "a:-1", "https://a", "a/b", "[::1]x"])
def test_what_names_no_server_is_a_usage_error(text: str) -> None:
    """Nobody is asked for what cannot be there."""
    with pytest.raises(typer.BadParameter, match="is not HOST or HOST:PORT"):
        target.require_server(text, "--destination")


@pytest.mark.parametrize("text", ["0s", "0", "25h", "soon", "-5"])
def test_a_time_out_is_a_duration(text: str) -> None:
    """It is written as everywhere else, and is neither nothing nor for ever."""
    with pytest.raises(typer.BadParameter):
        target.parse_timeout(text)
