"""The steps of `make check` and `make test`: what runs, in which order, within how many minutes.

A step that is over its budget has failed, because a suite that is slow to run is run less. The budgets hold on two
cores from a bare machine; on a warm one most steps take a fraction.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from kit import binaries, interpreters

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a suite.

    Attributes:
        command: Programs of the virtual environment are named without a path.
        minutes: The budget.
        python: The version whose virtual environment it is; "" for the one that runs this.
        may_repeat: Whether tests that fail, few of them, run once more by themselves, and what then passes is told by
            name: on real parts, a machine that stands still for ten seconds is no fault of the change. What shows that
            nothing is lost (`ONCE`) runs once: there a failure in fifty runs is one.
    """

    name: str
    command: tuple[str, ...]
    minutes: float
    python: str = ""
    may_repeat: bool = False


ONCE = (
    "tests/contract/queue/test_crashes.py",
    "tests/contract/queue/test_sequences.py",
    "tests/contract/queue/test_shared_sequences.py",
    "tests/contract/intake/test_durability.py",
    "tests/contract/sender/test_chaos.py",
    "tests/crash/test_kill.py",
)

_FEW = 3
"""How many failed tests may be tried again. More are no accident."""

_CACHE = ROOT / ".pytest_cache"


def _pytest(
    name: str, *paths: str, minutes: float, marker: str = "not long", python: str = "", may_repeat: bool = False
) -> Step:
    command = ("pytest", "-q", "-m", marker, *paths)
    return Step(name=name, command=command, minutes=minutes, python=python, may_repeat=may_repeat)


_PARTS = Step(name="real parts", command=("python", "-m", "kit.binaries", *binaries.TESTS), minutes=18)

_POSTGRES = Step(name="Postgres", command=("python", "-m", "kit.postgres"), minutes=2)

CHECK = (
    Step(name="format", command=("ruff", "format", "--check", "--quiet", "operator", "tests"), minutes=0.2),
    Step(name="lint", command=("ruff", "check", "--quiet", "operator", "tests"), minutes=0.3),
    Step(name="types", command=("mypy", "--no-error-summary"), minutes=2),
    Step(name="architecture", command=("lint-imports", "--no-cache"), minutes=0.4),
    Step(name="dependencies", command=("deptry", "operator"), minutes=0.3),
    Step(name="spelling", command=("codespell",), minutes=0.3),
    Step(name="generated files", command=("python", "-m", "kit.generate", "--check"), minutes=0.3),
    _pytest("unit", "tests/unit", minutes=5),
)

TEST = (
    *CHECK,
    *(
        _pytest(f"unit on {version}", "tests/unit", minutes=5, python=version)
        for version in interpreters.SUPPORTED
        if version != interpreters.IMAGE
    ),
    _PARTS,
    _POSTGRES,
    _pytest("contract", "tests/contract", minutes=22, may_repeat=True),
    _pytest("tenant", "tests/tenant", minutes=12, may_repeat=True),
    _pytest("end to end", "tests/e2e", minutes=6, may_repeat=True),
    _pytest("crash", "tests/crash", minutes=8),
    Step(name="demo", command=("python", "-m", "demo"), minutes=3),
)

CRASH = (
    _PARTS,
    Step(name="crash", command=("pytest", "-q", "-s", "-m", "not long", "tests/crash"), minutes=8),
)

CRASH_LONG = (
    _PARTS,
    Step(name="crash", command=("pytest", "-q", "-s", "-m", "long", "tests/crash"), minutes=60),
)

LONG = (
    _PARTS,
    _POSTGRES,
    _pytest("long", "tests", minutes=60, marker="long"),
)

LEFT_OUT = {"test": "left out: the long forms; make test-long runs them"}
"""What a suite does not run, by its name."""

SUITES = {"check": CHECK, "test": TEST, "long": LONG, "crash": CRASH, "crash-long": CRASH_LONG}


def run(step: Step) -> tuple[float, str, tuple[str, ...]]:
    """Run a step; return its seconds, what is wrong or an empty text, and the tests that passed only when repeated."""
    print(f"\n== {step.name}: {' '.join(step.command)}", flush=True)
    started = time.monotonic()
    if step.may_repeat:
        # What failed in another suite is not this one's.
        shutil.rmtree(_CACHE, ignore_errors=True)
    status = _call(step, step.command)
    failed = _last_failed() if step.may_repeat and status == _TESTS_FAILED else ()
    repeated: tuple[str, ...] = ()
    if 0 < len(failed) <= _FEW and not any(test.startswith(ONCE) for test in failed):
        print(f"\n== {step.name} once more: {' '.join(failed)}", flush=True)
        status = _call(step, (*step.command, "--last-failed"))
        repeated = failed if status == 0 else ()
    seconds = time.monotonic() - started
    if status != 0:
        return seconds, f"failed with status {status}", ()
    if seconds > step.minutes * 60:
        return seconds, f"took longer than its {step.minutes:g} minutes", repeated
    return seconds, "", repeated


_TESTS_FAILED = 1
"""pytest's status where tests ran and some failed."""


def _call(step: Step, command: tuple[str, ...]) -> int:
    folder = ROOT / f".venv-{step.python}" / "bin" if step.python else BIN
    environment = os.environ | {"PYTHONPATH": "operator:tests", "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        [str(folder / command[0]), *command[1:]],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=step.minutes * 60 * 2,
        check=False,
    ).returncode


def _last_failed() -> tuple[str, ...]:
    try:
        return tuple(json.loads((_CACHE / "v/cache/lastfailed").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()


def unfit(suite: str, version: str) -> str:
    """Return why a suite is not to be run by a version of Python; "" where it is."""
    if suite != "test" or version == interpreters.IMAGE:
        return ""
    how = "make clean, and again" if interpreters.find(interpreters.IMAGE) else interpreters.missing(interpreters.IMAGE)
    return f"make test runs on the image's Python, {interpreters.IMAGE}; .venv has {version}. {how}"


def main() -> int:
    """Run a suite, print a table, and return 1 if a step failed or was too slow."""
    parser = argparse.ArgumentParser(prog="kit.steps", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    suite = parser.parse_args().suite
    if why := unfit(suite, "{}.{}".format(*sys.version_info)):
        print(why, file=sys.stderr)
        return 1
    steps = SUITES[suite]
    if suite == "test":
        # By hand, in `make check` and in the long forms, property tests draw other examples each time.
        os.environ["PROPERTY_EXAMPLES"] = "repeatable"
    rows, failed, unsteady = [], False, list[str]()
    for step in steps:
        try:
            seconds, problem, repeated = run(step)
        except subprocess.TimeoutExpired:
            seconds, problem, repeated = step.minutes * 120, "was stopped at twice its budget", ()
        unsteady += repeated
        failed = failed or bool(problem)
        rows.append((step, seconds, problem))
        if problem:
            print(f"== {step.name} {problem}", flush=True)
            break
    print(f"\n{'step':<18}{'minutes':>8}{'budget':>8}")
    for step, seconds, problem in rows:
        print(f"{step.name:<18}{seconds / 60:>8.2f}{step.minutes:>8.1f}  {problem}".rstrip())
    print(f"{'all':<18}{sum(seconds for _, seconds, _ in rows) / 60:>8.2f}")
    for test in unsteady:
        print(f"unsteady: {test} failed, and passed when it ran again; find out why")
    if suite in LEFT_OUT:
        print(LEFT_OUT[suite])
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
