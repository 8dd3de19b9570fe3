"""The command line as one file: in a pipeline, as a plugin of kubectl, and as krew installs it."""

import os
import pathlib
import subprocess
import sys
import zipfile

import yaml

import mailtier
from kit import archive, binaries, interpreters, offline

_SECONDS = 120


def _run(*command: str | pathlib.Path, **environment: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def test_file_runs_on_each_python(plugin: pathlib.Path, python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With nothing installed it judges files, and has what asks a cluster; it unpacks once."""
    files = tmp_path / "settings.yaml"
    files.write_text(offline.text(offline.host(), offline.org("acme", smtp={"host": "smtp.acme.example"})))
    for _ in range(2):
        done = _run(python, "-I", plugin, "lint", "--quiet", "-f", files, XDG_CACHE_HOME=tmp_path)
        assert (done.returncode, "CredentialsRequired" in done.stdout) == (1, True), done.stderr
    assert len(list((tmp_path / "mailtier" / "pyz").iterdir())) == 1
    missing = _run(python, plugin, "status", "--kubeconfig=/nowhere", XDG_CACHE_HOME=tmp_path)
    assert "does not exist" in missing.stderr


def test_other_python_is_told_what_it_needs(plugin: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Where `python3` is one that the file has no libraries for, that is what it says, in one line."""
    code = f"import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path({str(plugin)!r}, run_name='__main__')"
    done = _run(sys.executable, "-c", code, XDG_CACHE_HOME=tmp_path)
    known = ", ".join(sorted(interpreters.SUPPORTED))
    assert done.returncode == 1
    assert done.stderr == f"mailtier: this file holds Mailtier for Python {known}, and python3 is 3.9\n"


def test_nothing_is_left_where_nothing_can_be_kept(plugin: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Without a cache it unpacks for this run alone, and clears that away."""
    done = _run(sys.executable, plugin, "--version", XDG_CACHE_HOME="/dev/null", TMPDIR=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{mailtier.__version__}\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_others_may_write_is_not_run(plugin: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A folder in the cache that somebody else can have filled is left alone."""
    assert _run(sys.executable, plugin, "--version", XDG_CACHE_HOME=tmp_path).returncode == 0
    (kept,) = (tmp_path / "mailtier" / "pyz").iterdir()
    (kept / "mailtier" / "__main__.py").write_text("def main():\n    print('planted')\n", encoding="ascii")
    kept.chmod(0o777)
    done = _run(sys.executable, plugin, "--version", XDG_CACHE_HOME=tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert (done.returncode, done.stdout) == (0, f"{mailtier.__version__}\n"), done.stderr


def test_file_tells_nothing_of_the_machine_that_packed_it(plugin: pathlib.Path) -> None:
    """It holds no path and no time of the packing, so that the same sources make the same file."""
    with zipfile.ZipFile(plugin) as packed:
        assert {each.date_time[0] for each in packed.infolist()} == {1980}
        names = {pathlib.PurePath(name).name for name in packed.namelist()}
    assert not names & {"direct_url.json", "uv_cache.json", "RECORD"}


def test_krew_installs_what_the_manifest_names(plugin: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """What krew installs by manifest and archive, as they are written, kubectl finds; and it knows its name."""
    packed = archive.pack(tmp_path, plugin, system="linux", machine="amd64")
    manifest = tmp_path / "mailtier.yaml"
    manifest.write_text(archive.manifest([packed], url="https://downloads.example/mailtier/"), encoding="utf-8")
    assert yaml.safe_load(manifest.read_text())["spec"]["platforms"][0]["uri"].endswith(f"mailtier/{packed.path.name}")
    programs = binaries.ensure("krew", "kubectl")
    environment = {
        "KREW_ROOT": tmp_path / "krew",
        "KREW_NO_UPGRADE_CHECK": "1",
        "XDG_CACHE_HOME": tmp_path,
        "PATH": f"{tmp_path / 'krew' / 'bin'}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    installed = _run(programs["krew"], "install", f"--manifest={manifest}", f"--archive={packed.path}", **environment)
    assert installed.returncode == 0, installed.stderr
    assert "It needs python3" in installed.stdout + installed.stderr
    version = _run(programs["kubectl"], "mailtier", "--version", **environment)
    assert (version.returncode, version.stdout) == (0, f"{mailtier.__version__}\n"), version.stderr
    wrong = _run(programs["kubectl"], "mailtier", "lint", "--frobnicate", **environment)
    assert (wrong.returncode, wrong.stderr.endswith("see kubectl mailtier lint --help\n")) == (2, True), wrong.stderr
