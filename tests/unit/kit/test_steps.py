"""The steps of a suite: what fails on real parts runs once more, is told, and fails for good the second time."""

import pathlib

import pytest

from kit import steps

_ONCE = """
import pathlib
def test_it():
    seen = pathlib.Path(__file__).with_name("seen")
    was_here = seen.exists()
    seen.touch()
    assert was_here
"""
_ALWAYS = "def test_it(): assert False"
_MANY = "import pytest\n@pytest.mark.parametrize('number', range(4))\ndef test_it(number): assert False"


def _run(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str, *, times: int
) -> tuple[str, tuple[str, ...]]:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.setattr(steps, "ROOT", folder)
    monkeypatch.setattr(steps, "_CACHE", folder / ".pytest_cache")
    command = ("pytest", "-q", "-p", "no:randomly", "test_it.py")
    _, problem, repeated = steps.run(steps.Step(name="it", command=command, minutes=1, times=times))
    return problem, repeated


def test_what_passes_the_second_time_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step has passed, and names the test."""
    assert _run(tmp_path, monkeypatch, _ONCE, times=2) == ("", ("test_it.py::test_it",))


def test_a_step_of_pure_tests_runs_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without real parts there is no second time."""
    assert _run(tmp_path, monkeypatch, _ONCE, times=1) == ("failed with status 1", ())


@pytest.mark.parametrize("text", [_ALWAYS, _MANY])
def test_what_fails_again_or_in_numbers_has_failed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A second failure is one, and so are four first ones."""
    assert _run(tmp_path, monkeypatch, text, times=2) == ("failed with status 1", ())
