"""Programs are found by what decides their build, and mistakes are told in words."""

import os
import pathlib
import stat

import pytest

from kit import binaries, toolchain


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
    assert f"version.gitVersion={required}" in binaries._flags("cluster")
    assert binaries._flags("mailpit") == "-s -w"


def test_what_only_benches_run_is_not_built_for_the_tests() -> None:
    """The tests' programs are all but the benches', and a bench names a dependency's version as go.mod has it."""
    assert "mailer" in binaries.BENCH
    assert set(binaries.BENCH).isdisjoint(binaries.TESTS)
    assert binaries.version("mailer", "github.com/wneessen/go-mail")[0].isdecimal()
    with pytest.raises(binaries.BuildError, match=r"does not require example\.org"):
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


def test_broken_build_quotes_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A build that fails leaves no binary, and its error ends with what the compiler said."""
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\n[ "$1" = env ] && echo go9.9.9 && exit\necho no such package\nexit 1\n', "ascii")
    go.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(binaries.BuildError, match="no such package"):
        binaries.ensure("etcd")
    assert not binaries.path("etcd").exists()
