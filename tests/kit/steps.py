"""The steps of `make check` and `make test`: what runs, in which order, within how many minutes.

A suite that takes longer than the budgets of its steps together, and a tenth, has failed, because what is slow to run
is run less; a step that is over its own is named. The budgets hold on two cores from a bare machine; on a warm one most
steps take a fraction. One that takes three times its own is stopped: it stands still.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing

from kit import binaries, interpreters

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a suite.

    Attributes:
        command: Programs of the virtual environment are named without a path.
        minutes: The budget, of which more may be used where others leave theirs; at three times as much it is stopped.
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


Part: typing.TypeAlias = Step | tuple[Step, ...]
"""A step, or several that run at the same time: those that mostly wait, each with real parts of its own."""


ONCE = (
    "tests/contract/queue/test_crashes.py",
    "tests/contract/queue/test_damage.py",
    "tests/contract/queue/test_database_crashes.py",
    "tests/contract/queue/test_full_database.py",
    "tests/contract/queue/test_full_volume.py",
    "tests/contract/queue/test_interrupted_moves.py",
    "tests/contract/queue/test_owning.py",
    "tests/contract/queue/test_pooler.py",
    "tests/contract/queue/test_power_loss.py",
    "tests/contract/queue/test_sequences.py",
    "tests/contract/queue/test_shared_halves.py",
    "tests/contract/queue/test_shared_sequences.py",
    "tests/contract/queue/test_two_halves.py",
    "tests/contract/intake/test_durability.py",
    "tests/contract/intake/test_shared_queue.py",
    "tests/contract/intake/test_two_processes.py",
    "tests/contract/sender/faults/test_cancelled.py",
    "tests/contract/sender/faults/test_cancelled_work.py",
    "tests/contract/sender/faults/test_matrix.py",
    "tests/contract/sender/test_chaos.py",
    "tests/contract/sender/test_several_senders.py",
    "tests/crash/test_failover.py",
    "tests/crash/test_kill.py",
    "tests/crash/test_two_senders.py",
    "tests/e2e/test_backup.py",
)

_FEW = 3
"""How many failed tests may be tried again. More are no accident."""

_CACHE = ROOT / ".pytest_cache"


def _pytest(
    name: str, *paths: str, minutes: float, marker: str = "not long", python: str = "", may_repeat: bool = False
) -> Step:
    command = ("pytest", "-q", "-m", marker, *paths)
    return Step(name=name, command=command, minutes=minutes, python=python, may_repeat=may_repeat)


_PARTS = Step(name="real parts", command=("python", "-m", "kit.binaries", *binaries.TESTS), minutes=14)

_POSTGRES = Step(name="Postgres", command=("python", "-m", "kit.postgres"), minutes=1)

CHECK = (
    Step(name="format", command=("ruff", "format", "--check", "--quiet", "operator", "tests"), minutes=0.2),
    Step(name="lint", command=("ruff", "check", "--quiet", "operator", "tests"), minutes=0.3),
    Step(name="types", command=("mypy", "--no-error-summary"), minutes=1.5),
    Step(name="architecture", command=("lint-imports", "--no-cache"), minutes=0.4),
    Step(name="dependencies", command=("deptry", "operator"), minutes=0.3),
    Step(name="spelling", command=("codespell",), minutes=0.3),
    Step(name="generated files", command=("python", "-m", "kit.generate", "--check"), minutes=0.3),
    _pytest("unit", "tests/unit", minutes=5.7),
)

_SENDERS = ("tests/contract/sender", "tests/contract/queue")

TEST: tuple[Part, ...] = (
    *CHECK,
    *(
        _pytest(f"unit on {version}", "tests/unit", minutes=4, python=version)
        for version in interpreters.SUPPORTED
        if version != interpreters.IMAGE
    ),
    _PARTS,
    _POSTGRES,
    (
        _pytest("sender, tenant", *_SENDERS, "tests/tenant", minutes=24, may_repeat=True),
        _pytest(
            "other contracts",
            "tests/contract",
            *(f"--ignore={folder}" for folder in _SENDERS),
            minutes=24,
            may_repeat=True,
        ),
    ),
    _pytest("end to end", "tests/e2e", minutes=6, may_repeat=True),
    _pytest("crash", "tests/crash", minutes=11),
    Step(name="demo", command=("python", "-m", "demo"), minutes=2),
)

CRASH = (
    _PARTS,
    _POSTGRES,
    Step(name="crash", command=("pytest", "-q", "-s", "-m", "not long", "tests/crash"), minutes=20),
)

CRASH_LONG = (
    _PARTS,
    _POSTGRES,
    Step(name="crash", command=("pytest", "-q", "-s", "-m", "long", "tests/crash"), minutes=60),
)

LONG = (
    _PARTS,
    _POSTGRES,
    _pytest("long", "tests", minutes=60, marker="long"),
)

LEFT_OUT = {"test": "left out: the long forms; make test-long runs them"}
"""What a suite does not run, by its name."""

SUITES: dict[str, tuple[Part, ...]] = {
    "check": CHECK,
    "test": TEST,
    "long": LONG,
    "crash": CRASH,
    "crash-long": CRASH_LONG,
}


Result: typing.TypeAlias = tuple[float, str, tuple[str, ...]]
"""A step's seconds, what is wrong or an empty text, and the tests that passed only when repeated."""


def run(step: Step, *, output: typing.IO[bytes] | None = None) -> Result:
    """Run a step; what it prints goes to a file where one is given."""
    command, cache = step.command, _CACHE / step.name.replace(" ", "-")
    if step.may_repeat:
        # What failed in another suite is not this one's.
        shutil.rmtree(cache, ignore_errors=True)
        command = (*command, "-o", f"cache_dir={cache}")
    started = time.monotonic()
    status = _call(step, command, output)
    failed = _last_failed(cache) if step.may_repeat and status == _TESTS_FAILED else ()
    repeated: tuple[str, ...] = ()
    if 0 < len(failed) <= _FEW and not any(test.startswith(ONCE) for test in failed):
        print(f"\n== {step.name} once more: {' '.join(failed)}", flush=True)
        status = _call(step, (*command, "--last-failed"), output)
        repeated = failed if status == 0 else ()
    seconds = time.monotonic() - started
    if status != 0:
        return seconds, f"failed with status {status}", ()
    return seconds, "", repeated


_STOPPED_AT = 3
_SLACK = 1.1
"""Machines differ from day to day."""

_TESTS_FAILED = 1
"""pytest's status where tests ran and some failed."""


def _call(step: Step, command: tuple[str, ...], output: typing.IO[bytes] | None) -> int:
    folder = ROOT / f".venv-{step.python}" / "bin" if step.python else BIN
    environment = os.environ | {"PYTHONPATH": "operator:tests", "PATH": f"{folder}:{os.environ['PATH']}"}
    if step.python:
        environment["PROPERTY_EXAMPLES"] = "few"
    return subprocess.run(
        [str(folder / command[0]), *command[1:]],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        timeout=step.minutes * 60 * _STOPPED_AT,
        check=False,
    ).returncode


def _last_failed(cache: pathlib.Path) -> tuple[str, ...]:
    try:
        return tuple(json.loads((cache / "v/cache/lastfailed").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()


def _run_in_time(step: Step, *, output: typing.IO[bytes] | None = None) -> Result:
    try:
        return run(step, output=output)
    except subprocess.TimeoutExpired:
        return step.minutes * 60 * _STOPPED_AT, f"was stopped at {_STOPPED_AT} times its budget", ()


def budget(suite: str) -> float:
    """Return how many minutes a suite has: those of its steps, of what runs at the same time the longest."""
    return sum(
        max(step.minutes for step in part) if isinstance(part, tuple) else part.minutes for part in SUITES[suite]
    )


def run_part(part: Part) -> list[tuple[Step, Result]]:
    """Run a step, or several at the same time; what those print follows when each has ended."""
    steps = part if isinstance(part, tuple) else (part,)
    for step in steps:
        print(f"\n== {step.name}: {' '.join(step.command)}", flush=True)
    if len(steps) == 1:
        return [(steps[0], _run_in_time(steps[0]))]

    def run_aside(step: Step) -> Result:
        with tempfile.TemporaryFile() as output:
            result = _run_in_time(step, output=output)
            output.seek(0)
            print(f"\n== {step.name}:\n{output.read().decode(errors='replace')}", flush=True)
            return result

    with concurrent.futures.ThreadPoolExecutor(len(steps)) as threads:
        return list(zip(steps, threads.map(run_aside, steps), strict=True))


def unfit(suite: str, version: str) -> str:
    """Return why a suite is not to be run by a version of Python; "" where it is."""
    if suite != "test" or version == interpreters.IMAGE:
        return ""
    how = "make clean, and again" if interpreters.find(interpreters.IMAGE) else interpreters.missing(interpreters.IMAGE)
    return f"make test runs on the image's Python, {interpreters.IMAGE}; .venv has {version}. {how}"


def _print_table(rows: list[tuple[Step, float, str]], whole_seconds: float, whole_minutes: float) -> None:
    print(f"\n{'step':<18}{'minutes':>8}{'budget':>8}")
    for step, seconds, problem in rows:
        told = problem or ("over its budget" if seconds > step.minutes * 60 else "")
        print(f"{step.name:<18}{seconds / 60:>8.2f}{step.minutes:>8.1f}  {told}".rstrip())
    print(f"{'all':<18}{whole_seconds / 60:>8.2f}{whole_minutes:>8.1f}")


def main() -> int:
    """Run a suite, print a table, and return 1 if a step failed or was too slow."""
    parser = argparse.ArgumentParser(prog="kit.steps", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    suite = parser.parse_args().suite
    if why := unfit(suite, "{}.{}".format(*sys.version_info)):
        print(why, file=sys.stderr)
        return 1
    if suite == "test":
        # By hand, in `make check` and in the long forms, property tests draw other examples each time.
        os.environ["PROPERTY_EXAMPLES"] = "repeatable"
    rows, whole_seconds, unsteady = list[tuple[Step, float, str]](), 0.0, list[str]()
    for part in SUITES[suite]:
        results = run_part(part)
        whole_seconds += max(seconds for _, (seconds, _, _) in results)
        for step, (seconds, problem, repeated) in results:
            unsteady += repeated
            rows.append((step, seconds, problem))
            if problem:
                print(f"== {step.name} {problem}", flush=True)
        if any(problem for _, _, problem in rows):
            break
    _print_table(rows, whole_seconds, budget(suite))
    is_slow = whole_seconds > budget(suite) * 60 * _SLACK
    if is_slow:
        print(f"make {suite} took longer than its {budget(suite):g} minutes")
    for test in unsteady:
        print(f"unsteady: {test} failed, and passed when it ran again; find out why")
    if suite in LEFT_OUT:
        print(LEFT_OUT[suite])
    return int(is_slow or any(problem for _, _, problem in rows))


if __name__ == "__main__":
    raise SystemExit(main())
