"""What messages say of a database's address."""

import pathlib

import pytest

from mailtier.sender.storage.postgres.database import addresses


@pytest.mark.parametrize(
    ("dsn", "named"),
    [
        ("postgresql://mailtier:secret@db.example.com:5433/mail", "db.example.com:5433"),
        ("postgresql://mailtier:secret@db.example.com/mail?sslmode=require", "db.example.com:5432"),
        ("postgresql://mailtier:secret@[::1]:5433/mail", "[::1]:5433"),
        ("postgresql://mailtier:secret@a:5432,b:5432/mail", "a:5432,b:5432"),
        ("postgresql://mailtier:sec/ret@db.example.com/mail", ""),
        ("postgresql://mailtier:sec@ret@db.example.com/mail", ""),
        ("postgresql://mailtier:sec@r/et@db.example.com/mail", ""),
        ("postgresql:///mail?host=/run/postgresql", ""),
        ("postgresql://[secret", ""),
        ("", ""),
    ],
)
def test_the_server_is_named_and_nothing_else(dsn: str, named: str) -> None:
    """Host and port are told, and no part of a password is taken for one (R1)."""
    assert addresses.server(dsn) == named


def test_a_certificate_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    """What the address names of files is looked for, and the first that is missing is told by its path."""
    there = tmp_path / "ca.crt"
    there.touch()
    dsn = f"postgresql://u:p@h/d?sslmode=verify-full&sslrootcert={there}"
    assert addresses.missing_file(dsn) == ""
    assert addresses.missing_file(f"{dsn}&sslcert=/no/tls.crt") == "sslcert /no/tls.crt"
    assert addresses.missing_file("postgresql://[secret") == ""
