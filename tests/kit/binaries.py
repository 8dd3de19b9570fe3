"""The programs that tests run against, built once per machine from the Go modules in `tests/tools`.

Run as `python -m kit.binaries [NAME ...]` to build ahead of time; without names, what the demo needs.
"""

import collections.abc
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import sys

from kit import building, toolchain

_MODULES = pathlib.Path(__file__).parents[1] / "tools"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    """Where a program's source is, and how long a first build takes on two cores.

    Attributes:
        package: Of a dependency; `.` for a program of ours, whose source lies in the module's folder.
    """

    module: str
    package: str
    about: str


_TOOLS = {
    "etcd": _Tool(module="cluster", package="go.etcd.io/etcd/server/v3", about="30 s"),
    "kube-apiserver": _Tool(module="cluster", package="k8s.io/kubernetes/cmd/kube-apiserver", about="3 min"),
    "kubectl": _Tool(module="cluster", package="k8s.io/kubernetes/cmd/kubectl", about="30 s"),
    "kube-controller-manager": _Tool(
        module="cluster", package="k8s.io/kubernetes/cmd/kube-controller-manager", about="1 min"
    ),
    "mailpit": _Tool(module="mailpit", package="github.com/axllent/mailpit", about="50 s"),
    "helm": _Tool(module="helm", package="helm.sh/helm/v4/cmd/helm", about="80 s"),
    "health": _Tool(module="health", package=".", about="70 s"),
    "krew": _Tool(module="krew", package="sigs.k8s.io/krew/cmd/krew", about="20 s"),
    "actionlint": _Tool(module="actionlint", package="github.com/rhysd/actionlint/cmd/actionlint", about="20 s"),
    "mailer": _Tool(module="mailer", package=".", about="20 s"),
    "kubelet": _Tool(module="node", package="k8s.io/kubernetes/cmd/kubelet", about="35 s"),
    "kube-proxy": _Tool(module="node", package="k8s.io/kubernetes/cmd/kube-proxy", about="10 s"),
    "kube-scheduler": _Tool(module="node", package="k8s.io/kubernetes/cmd/kube-scheduler", about="10 s"),
    "coredns": _Tool(module="dns", package=".", about="15 s"),
    "policies": _Tool(module="policies", package=".", about="5 s"),
}

ASSETS = "MAILTIER_ASSETS"
"""The variable with a folder of programs that somebody has already, such as envtest's."""

DEMO = ("etcd", "kube-apiserver", "kubectl", "mailpit")
BENCH = ("mailer",)
NODE = ("kubelet", "kube-proxy", "kube-scheduler", "coredns", "policies")
TESTS = tuple(name for name in _TOOLS if name not in {*BENCH, *NODE})


def path(name: str) -> pathlib.Path:
    """Return where the program lies, or will lie once `ensure` has built it.

    The folder's name is a hash of all that decides the build, so another version never meets an old binary; what lies
    in the folder that `MAILTIER_ASSETS` names is taken from there, whatever its version.
    """
    tool = _TOOLS[name]
    if (folder := os.environ.get(ASSETS)) and (given := pathlib.Path(folder) / name).exists():
        return given.absolute()
    return toolchain.cache() / "bin" / _key(tool.module) / name


def present(*names: str) -> bool:
    """Return whether none of the programs has to be built."""
    return not _missing(names)


def ensure(*names: str, meanwhile: collections.abc.Callable[[], None] | None = None) -> dict[str, pathlib.Path]:
    """Return the programs' paths by name, after building those that are missing.

    Args:
        names: Of the programs.
        meanwhile: Called once if something has to be built, while that goes on.

    Raises:
        building.BuildError: The build failed; the text quotes the end of its log.
        toolchain.ToolchainError: There is no Go, and none can be installed.
    """
    paths = {name: path(name) for name in names}
    if present(*names):
        return paths
    with _lock():
        # What another process built meanwhile is there now.
        for module, missing in _missing(names).items():
            _build(module, missing, meanwhile)
            meanwhile = None
    return paths


def _missing(names: collections.abc.Iterable[str]) -> dict[str, list[str]]:
    """Return the programs that have to be built, by their modules."""
    found: dict[str, list[str]] = {}
    for name in names:
        if not path(name).exists():
            found.setdefault(_TOOLS[name].module, []).append(name)
    return found


def _key(module: str) -> str:
    """Return the hash of a module's requirements, link flags, and source if it has its own."""
    folder = _MODULES / module
    digest = hashlib.sha256()
    sources = (source.read_bytes() for source in sorted(folder.glob("*.go")))
    parts = ((folder / "go.mod").read_bytes(), (folder / "go.sum").read_bytes(), _link(module).encode(), *sources)
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return f"{module}-{digest.hexdigest()[:16]}"


def _link(module: str) -> str:
    """Return the link flags: no symbols, and for Kubernetes its version, which `go build` does not know."""
    required = _required(module, "k8s.io/kubernetes")
    if required is None:
        return "-s -w"
    major, minor, _ = required.removeprefix("v").split(".", 2)
    variables = {"gitVersion": required, "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in variables.items()]
    return " ".join(["-s -w", *stamps])


def version(name: str, requirement: str) -> str:
    """Return the version of a dependency that a program is built with.

    Raises:
        building.BuildError: Its go.mod does not name the dependency.
    """
    found = _required(_TOOLS[name].module, requirement)
    if found is None:
        raise building.BuildError(f"{_MODULES / _TOOLS[name].module / 'go.mod'} does not require {requirement}")
    return found.removeprefix("v")


def _required(module: str, requirement: str) -> str | None:
    """Return the version that a go.mod asks for, or None when it does not name the module."""
    text = (_MODULES / module / "go.mod").read_text(encoding="utf-8")
    line = re.search(rf"^\s*(?:require )?{re.escape(requirement)} (v\S+)", text, re.MULTILINE)
    return line and line[1]


def _go_version(module: str) -> str:
    """Return the Go version in the go.mod's `go` line."""
    text = (_MODULES / module / "go.mod").read_text(encoding="utf-8")
    line = re.search(r"^go (\S+)$", text, re.MULTILINE)
    if line is None:
        raise building.BuildError(f"{_MODULES / module / 'go.mod'} has no go line")
    return line[1]


@contextlib.contextmanager
def _lock() -> collections.abc.Iterator[None]:
    """Hold the machine's build lock, so that two processes do not build the same thing at once."""
    folder = toolchain.cache() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another process that is building ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(
    module: str, names: collections.abc.Sequence[str], meanwhile: collections.abc.Callable[[], None] | None
) -> None:
    """Build programs of one module, whose folder in the cache is one too."""
    folder = path(names[0]).parent
    folder.mkdir(parents=True, exist_ok=True)
    expected = ", ".join(f"{name} ({_TOOLS[name].about})" for name in names)
    _say(f"building {expected}: times on 2 cores, the first time ...")
    building.run(
        building.Order(
            go=toolchain.find_go(_go_version(module)),
            module=_MODULES / module,
            packages={name: _TOOLS[name].package for name in names},
            link=_link(module),
            folder=folder,
        ),
        meanwhile=meanwhile,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _main(names: collections.abc.Sequence[str]) -> int:
    """Build the named programs and print their paths, one a line."""
    unknown = [name for name in names if name not in _TOOLS]
    if unknown:
        _say(f"unknown: {', '.join(unknown)}. Known are: {', '.join(_TOOLS)}")
        return 2
    try:
        for built in ensure(*(names or DEMO)).values():
            print(built)
    except (building.BuildError, toolchain.ToolchainError) as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
