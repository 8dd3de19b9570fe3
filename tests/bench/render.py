"""`mailtier render` at scale: seconds and CPU for many organizations, and what they are spent on.

The same objects are resolved by themselves, without files or a command line, and compared on a sample: what is
printed is what plan and conclude give.

    python -m bench.render --organizations 10000
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from kit import offline, specs
from mailtier.api import canonical
from mailtier.cli.offline import judging, rendering
from mailtier.cli.offline.files import sources, world
from mailtier.settings import codec, effective, observed, resolve

_SYSTEM: Final = "mailtier-system"
_PER_NAMESPACE: Final = 20
_SAMPLE: Final = 97
_T = TypeVar("_T")


def documents(count: int) -> Iterator[offline.Json]:
    """Yield a host and so many organizations; a fifth override something, and a twentieth is blocked."""
    yield offline.host(policy={"from": {"allow": ["{namespace}@example.com"]}}, delivery={"ratePerMinute": 600})
    for number in range(count):
        namespace, name = f"team-{number // _PER_NAMESPACE}", f"org-{number % _PER_NAMESPACE}"
        yield offline.org(namespace, name, **_overrides(number, namespace))


def _overrides(number: int, namespace: str) -> dict[str, Any]:
    if number % 20 == 0:
        return {"from": {"address": "ceo@example.com"}}
    if number % 5 == 0:
        return {
            "from": {"address": f"{namespace}@example.com", "displayName": f"Team {number}"},
            "notifications": {"jobAlert": {"recipients": [f"ops-{number}@example.com"]}},
        }
    return {}


def timed(name: str, count: int, work: Callable[[], _T]) -> _T:
    """Do one part of the work in this process, and print what it cost."""
    started, cpu = time.monotonic(), time.process_time()
    result = work()
    _print(name, count, seconds=time.monotonic() - started, cpu_seconds=time.process_time() - cpu)
    return result


def _print(name: str, count: int, *, seconds: float, cpu_seconds: float, note: str = "") -> None:
    per_organization = cpu_seconds / count * 1e6
    print(f"{name:<28}{seconds:>9.2f}{cpu_seconds:>9.2f}{per_organization:>12.0f}  {note}".rstrip())


def command(name: str, count: int, *arguments: str, okay: tuple[int, ...] = (0,)) -> str:
    """Run the program, print what it cost as a whole, and return what it printed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "mailtier", *arguments], capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in okay:
        raise SystemExit(f"{name} ended with status {done.returncode}: {done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    _print(name, count, seconds=seconds, cpu_seconds=cpu, note=f"{after.ru_maxrss / 1024:.0f} MiB at most")
    return done.stdout


def resolved(objects: list[offline.Json]) -> Iterator[tuple[str, str]]:
    """Yield name and effective.json of every organization, straight from the core."""
    host = observed.parse_host(objects[0]["spec"])
    for document in objects[1:]:
        metadata = document["metadata"]
        key = effective.OrganizationKey(namespace=metadata["namespace"], name=metadata["name"])
        plan = resolve.plan(
            observed.Observed(
                organization=key,
                namespace_uid="",
                namespace_labels={},
                operator_namespace=_SYSTEM,
                host=host,
                org=observed.parse_org(document["spec"]),
            )
        )
        read = observed.SecretRead(outcome=observed.ReadOutcome.FOUND, annotation="relay.example.com:587")
        yield str(key), codec.encode(resolve.conclude(plan, observed.Reads(secret=read)).effective)


def run(count: int, folder: pathlib.Path) -> None:
    """Measure, print the table, and compare a sample."""
    objects = list(documents(count))
    # A file a namespace, as a repository has them, beside the host's.
    for start in range(1, len(objects), _PER_NAMESPACE):
        offline.write(folder / f"team-{start}.yaml", *objects[start : start + _PER_NAMESPACE])
    offline.write(folder / "host.yaml", objects[0])
    print(f"\n{count} organizations in {len(list(folder.iterdir()))} files, {os.cpu_count()} cores\n")
    print(f"{'':<28}{'seconds':>9}{'CPU s':>9}{'CPU us/org':>12}")
    read = timed("read YAML", count, lambda: sources.read([str(folder)]))
    built = timed("check against the models", count, lambda: world.build(read))
    judge = judging.Judge(built, operator_namespace=_SYSTEM, now=specs.NOW)
    found = timed("resolve", count, lambda: {str(key): one.effective for key, one in judge.resolutions()})
    timed("encode", count, lambda: "".join(rendering.as_json(found)))
    printed = command("mailtier render -o json", count, "render", "-o", "json", "-f", str(folder))
    command("mailtier render -o text", count, "render", "-f", str(folder))
    command("mailtier render -o yaml", count, "render", "-o", "yaml", "-f", str(folder))
    (folder / "before.json.old").write_text(printed, encoding="utf-8")
    diff = ("--diff", str(folder / "before.json.old"))
    command("mailtier render --diff", count, "render", "-f", str(folder), *diff, "--exit-code")
    command("mailtier lint", count, "lint", "-f", str(folder), okay=(0, 1))
    rendered = json.loads(printed)
    expected = timed("the core alone", count, lambda: dict(resolved(objects)))
    sample = list(expected)[::_SAMPLE]
    differing = [name for name in sample if canonical.encode(rendered[name]) != expected[name]]
    if differing or len(rendered) != count + 1:
        raise SystemExit(f"{len(differing)} of {len(sample)} differ from the core: {differing[:5]}")
    print(f"\n{len(sample)} of {count} compared with the core: the same byte for byte")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="bench.render", description=__doc__)
    parser.add_argument("--organizations", type=int, default=10_000)
    with tempfile.TemporaryDirectory(prefix="mailtier-render-") as folder:
        run(parser.parse_args().organizations, pathlib.Path(folder))


if __name__ == "__main__":
    main()
