"""The steps of a suite: what fails on real parts runs once more, is told, and fails for good the second time."""

import pathlib

import pytest

from kit import repository, steps

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
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str, *, may_repeat: bool
) -> tuple[str, tuple[str, ...]]:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.setattr(steps, "ROOT", folder)
    monkeypatch.setattr(steps, "_CACHE", folder / ".pytest_cache")
    command = ("pytest", "-q", "-p", "no:randomly", "test_it.py")
    _, problem, repeated = steps.run(steps.Step(name="it", command=command, minutes=1, may_repeat=may_repeat))
    return problem, repeated


def test_what_passes_the_second_time_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step has passed, and names the test."""
    assert _run(tmp_path, monkeypatch, _ONCE, may_repeat=True) == ("", ("test_it.py::test_it",))


def test_a_step_of_pure_tests_runs_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without real parts there is no second time."""
    assert _run(tmp_path, monkeypatch, _ONCE, may_repeat=False) == ("failed with status 1", ())


@pytest.mark.parametrize("text", [_ALWAYS, _MANY])
def test_what_fails_again_or_in_numbers_has_failed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A second failure is one, and so are four first ones."""
    assert _run(tmp_path, monkeypatch, text, may_repeat=True) == ("failed with status 1", ())


def test_what_shows_that_nothing_is_lost_runs_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in fifty runs is one there; the list names files that exist."""
    assert all((repository.ROOT / path).is_file() for path in steps.ONCE)
    monkeypatch.setattr(steps, "ONCE", ("test_it.py",))
    assert _run(tmp_path, monkeypatch, _ONCE, may_repeat=True) == ("failed with status 1", ())


def test_all_tests_have_75_minutes() -> None:
    """CI has 90, and real pods are to come."""
    assert steps.budget("test") <= 75


def test_a_suite_that_is_too_slow_has_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step may take what another one leaves, and is named; more than all have fails."""
    takes = {"quick": 30.0, "slow": 80.0}
    monkeypatch.setitem(steps.SUITES, "check", tuple(steps.Step(name=name, command=(), minutes=1) for name in takes))
    monkeypatch.setattr(steps, "run_part", lambda step: [(step, (takes[step.name], "", ()))])
    monkeypatch.setattr("sys.argv", ["steps", "check"])
    assert steps.main() == 0
    assert "over its budget" in capsys.readouterr().out
    takes["slow"] = 105.0
    assert steps.main() == 1
    assert "took longer than its 2 minutes" in capsys.readouterr().out


def test_parts_run_at_the_same_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of two waits for the other to have begun; what fails in one is the one's, and what both print is shown."""
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "_CACHE", tmp_path / ".pytest_cache")
    meet = "import os, sys\nos.mkfifo('meeting') if not os.path.exists('meeting') else None\n"
    ends = {"reader": "open('meeting').read(); print('read')", "writer": "open('meeting', 'w').close(); sys.exit(3)"}
    (tmp_path / "make.py").write_text(meet, encoding="utf-8")
    steps.run(steps.Step(name="make", command=("python", "make.py"), minutes=1))
    part = tuple(
        steps.Step(name=name, command=("python", "-c", f"import sys; {end}"), minutes=1) for name, end in ends.items()
    )
    found = {step.name: problem for step, (_, problem, _) in steps.run_part(part)}
    assert found == {"reader": "", "writer": "failed with status 3"}
    assert "== reader:\nread" in capsys.readouterr().out
