"""Objects as YAML text."""

import pytest

from mailtier.cli.documents import writing
from mailtier.cli.offline.files import loading


@pytest.mark.parametrize(
    "text", ["Y", "n", "on", "1e3", "0o17", "0b1", "1_000", "~", "", ".inf", "+5", "2026-01-02", "a"]
)
def test_a_text_is_read_as_a_text_by_kubectl_too(text: str) -> None:
    """What kubectl knows as a truth value or a number is quoted, although PyYAML reads a text."""
    ((document, _),) = loading.documents("", writing.dump({"displayName": text}))
    assert document == {"displayName": text}
