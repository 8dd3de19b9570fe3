"""Where things lie, and how large they may become."""

from kit import repository

_TOP = {
    *(".ci", ".dockerignore", ".github", ".gitignore", "changelog.d", "charts", "crds", "docs", "operator", "tests"),
    ".pre-commit-hooks.yaml",
    *("CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "SECURITY.md", "pyproject.toml"),
    *("openssl.cnf", "requirements-build.lock", "requirements-runtime.lock", "requirements.lock"),
}
_TESTS = {"bench", "conftest.py", "contract", "crash", "demo", "e2e", "kit", "node", "tenant", "tools", "unit"}
_LAYERS = {"api", "cli", "handlers", "kube", "mail", "sender", "serving", "settings", "telemetry"}
_MOST_LINES = 400


def test_operator_is_no_package() -> None:
    """With operator/__init__.py, `import operator` would find it, and Python's own tools would not start."""
    assert not (repository.ROOT / "operator/__init__.py").exists()


def test_top_level_holds_what_it_should() -> None:
    """Whoever opens the repository sees these entries and no others."""
    assert {path.parts[0] for path in repository.files()} == _TOP
    assert {path.parts[1] for path in repository.files() if path.parts[0] == "operator"} == {"mailtier"}
    assert {path.parts[1] for path in repository.files() if path.parts[0] == "tests"} == _TESTS


def test_program_is_its_layers() -> None:
    """Each package of the program is a layer that the architecture names, and the unit tests follow them."""
    packages = {path.parts[2] for path in repository.files() if path.parts[0] == "operator" and len(path.parts) > 3}
    assert packages == _LAYERS
    tested = {path.parts[2] for path in repository.files() if path.parts[:2] == ("tests", "unit")}
    assert tested <= _LAYERS | {"house", "kit"}


def test_no_file_is_long() -> None:
    """A Python file of more than 400 lines has two subjects."""
    long = {
        str(path): lines
        for path in repository.python()
        if (lines := len(repository.read(path).splitlines())) > _MOST_LINES
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    """Each module and package begins with a sentence that says what it is."""
    silent = [str(path) for path in repository.python() if not repository.docstring(path).strip()]
    assert silent == []


def test_every_test_states_the_behaviour() -> None:
    """Each test has a sentence, and no two tests of one file the same."""
    sentences: dict[tuple[str, str], str] = {}
    for test in repository.tests():
        place, _, name = test.id.partition("::")
        first = test.docstring.partition("\n\n")[0]
        assert first.endswith((".", "...")), f"{test.id} has no sentence"
        assert sentences.setdefault((place, first), name) == name, f"{test.id} says what another one says"
