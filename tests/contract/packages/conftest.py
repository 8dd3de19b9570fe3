"""What is given away: the wheel, and the archive that is made of it."""

import pathlib

import pytest

from kit import archive, interpreters


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return Mailtier's wheel."""
    return archive.wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def plugin(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the command line as one file."""
    return archive.program(tmp_path_factory.mktemp("plugin"), wheel)


@pytest.fixture(scope="session", params=interpreters.SUPPORTED)
def python(request: pytest.FixtureRequest) -> pathlib.Path:
    """Return each Python that Mailtier runs on."""
    found = interpreters.find(request.param)
    if found is None:
        pytest.skip(interpreters.missing(request.param))
    return pathlib.Path(found)
