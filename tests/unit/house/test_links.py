"""No link leads nowhere."""

import pathlib
import re

import pytest

from kit import repository

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def _anchors(page: pathlib.PurePath) -> set[str]:
    """Return the anchors that a page's headings have."""
    found: set[str] = set()
    for heading in _HEADING.findall(repository.prose(repository.read(page))):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        anchor, count = plain.replace(" ", "-"), 0
        while (candidate := anchor if not count else f"{anchor}-{count}") in found:
            count += 1
        found.add(candidate)
    return found


@pytest.mark.parametrize("page", repository.pages(), ids=str)
def test_every_link_leads_somewhere(page: pathlib.PurePosixPath) -> None:
    """A relative link leads to a file or folder that the repository has, and its anchor to a heading."""
    folder = (repository.ROOT / page).parent
    for link in _LINK.findall(repository.prose(repository.read(page))):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else repository.ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert target.is_relative_to(repository.ROOT), f"{page}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{page}: {link}"


def test_every_page_is_linked() -> None:
    """Each page under docs/ is reached from the README by links."""
    reached: set[pathlib.Path] = set()
    waiting = [repository.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = _LINK.findall(repository.prose(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links if not _ELSEWHERE.match(link)]
    missed = [str(page) for page in repository.pages() if page.parts[0] == "docs"]
    assert [page for page in missed if repository.ROOT / page not in reached] == []
