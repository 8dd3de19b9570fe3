"""Programs are found by what decides their build, and mistakes are told in words."""

import os
import pathlib
import stat
import typing

import pytest

from kit import binaries, building, toolchain, wait


def test_path_lies_outside_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Binaries lie in the user's cache, one folder for each state of their module."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert binaries.path("etcd").is_relative_to(tmp_path / "mailtier" / "bin")
    assert binaries.path("etcd").parent == binaries.path("kubectl").parent
    assert binaries.path("etcd").parent != binaries.path("helm").parent


def test_kubernetes_version_comes_from_the_module() -> None:
    """The version that is stamped into Kubernetes' programs is the one in go.mod; others get none."""
    required = binaries._required("cluster", "k8s.io/kubernetes")
    assert required is not None
    assert f"version.gitVersion={required}" in binaries._link("cluster")
    assert binaries._link("mailpit") == "-s -w"


def test_what_only_benches_run_is_not_built_for_the_tests() -> None:
    """The tests' programs are all but the benches', and a bench names a dependency's version as go.mod has it."""
    assert "mailer" in binaries.BENCH
    assert set(binaries.BENCH).isdisjoint(binaries.TESTS)
    assert binaries.version("mailer", "github.com/wneessen/go-mail")[0].isdecimal()
    with pytest.raises(building.BuildError, match=r"does not require example\.org"):
        binaries.version("mailer", "example.org")


def test_a_program_of_ours_is_built_anew_when_its_source_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """The source in a module's folder decides its build too; without any, requirements and flags alone do."""
    monkeypatch.setattr(binaries, "_MODULES", tmp_path)
    (tmp_path / "ours").mkdir()
    for name in ("go.mod", "go.sum"):
        (tmp_path / "ours" / name).write_text("", encoding="utf-8")
    keys = [binaries._key("ours")]
    for text in ("package main", "package main // changed"):
        (tmp_path / "ours" / "main.go").write_text(text, encoding="utf-8")
        keys.append(binaries._key("ours"))
    assert len(set(keys)) == 3


def test_missing_go_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """With an outdated go and an installer that fails, the error says what to install."""
    for name, text in {"go": "echo go1.20.1", "uv": "echo no index >&2; exit 1"}.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(toolchain.ToolchainError, match=r"(?s)Install Go from .*said:.no index"):
        toolchain.find_go("1.26.0")


def test_programs_of_one_module_are_built_together(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Those that are missing are built by one run a module; something is done once meanwhile, and only then."""
    calls, go = tmp_path / "calls", _go(tmp_path, monkeypatch)
    go(
        f"""case "$1" in
env) echo go9.9.9 ;;
build) echo "$*" >> {calls}; while [ "$1" != -o ]; do shift; done; folder=$2; shift 2
  for package; do name=${{package%/v3}}; touch "$folder/${{name##*/}}"; done ;;
esac"""
    )
    done: list[str] = []

    def meanwhile() -> None:
        done.append("once")

    assert not binaries.present("etcd", "mailpit")
    found = binaries.ensure("etcd", "kubectl", "mailpit", meanwhile=meanwhile)
    assert all(path.is_file() for path in found.values())
    assert {path.name for path in found["etcd"].parent.iterdir()} == {"etcd", "kubectl"}
    built = [line.split(" -o ")[1].split()[1:] for line in calls.read_text("utf-8").splitlines()]
    assert built == [
        ["go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kubectl"],
        ["github.com/axllent/mailpit"],
    ]
    assert binaries.present("etcd", "mailpit")
    assert binaries.ensure("etcd", "kubectl", "mailpit", meanwhile=meanwhile) == found
    assert done == ["once"]


def test_what_somebody_has_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Programs in the folder that the demo is given are used, and those that it lacks are built."""
    _go(tmp_path, monkeypatch)("exit 1")
    (tmp_path / "assets").mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / "assets" / name).touch()
    monkeypatch.setenv("MAILTIER_ASSETS", str(tmp_path / "assets"))
    assert binaries.present("etcd", "kube-apiserver", "kubectl")
    assert binaries.path("kubectl") == tmp_path / "assets" / "kubectl"
    assert not binaries.present("mailpit")


def test_broken_build_quotes_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A build that fails leaves no binary, and its error ends with what the compiler said."""
    _go(tmp_path, monkeypatch)('[ "$1" = env ] && echo go9.9.9 && exit\necho no such package\nexit 1')
    with pytest.raises(building.BuildError, match="no such package"):
        binaries.ensure("etcd")
    assert not binaries.path("etcd").exists()


def test_what_goes_wrong_meanwhile_ends_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Ctrl-C while something is shown ends the build, which is not waited for."""
    started = tmp_path / "started"
    _go(tmp_path, monkeypatch)(f'[ "$1" = env ] && echo go9.9.9\n[ "$1" = build ] && touch {started} && exec sleep 30')

    def interrupt() -> None:
        wait.until(started.exists, within_seconds=30, why="the build runs")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        binaries.ensure("etcd", meanwhile=interrupt)
    assert not binaries.path("etcd").exists()


def test_share_is_that_of_the_sources_that_were_compiled() -> None:
    """The packages that the build named count by their size; where none is known, nothing is said."""
    sizes = {"a": 900, "b": 50, "c": 50}
    assert building.share("", {}) is None
    assert building.share("go: downloading x\n", sizes) == 0
    assert building.share("a\na\nb\n", sizes) == pytest.approx(0.95 * 0.95)
    assert building.share("a\nb\nc\nd\n", sizes) == pytest.approx(0.95)


def _go(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> typing.Callable[[str], None]:
    """Return what makes a shell script the `go` of the PATH, with a cache of its own."""
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def write(script: str) -> None:
        (folder / "go").write_text(f"#!/bin/sh\n{script}\n", "ascii")
        (folder / "go").chmod(0o700)

    return write
