"""Building messages while it is marked whose it is: one that ended the process twice is not built a third time."""

from typing import Final

from mailtier.mail import render
from mailtier.sender import ports
from mailtier.sender.delivering import builder, templates
from mailtier.sender.storage import build_mark
from mailtier.settings import effective

_MOST: Final = 2
"""How often a process may die of a message."""


class MarkedBuilder(builder.Builder):
    """Builds messages.

    Args:
        sources: The templates.
        mark: Outlives the process.
    """

    def __init__(self, sources: templates.Templates, mark: build_mark.BuildMark) -> None:
        super().__init__(sources)
        self._mark = mark

    def build(self, job: ports.Job, from_: effective.From, *, server: str = "") -> builder.Built:
        """Return the message for a recipient; see `builder.Builder`.

        Raises:
            render.RenderError: It cannot be built, or processes died of it.
        """
        times = self._mark.times(job)
        if times >= _MOST:
            raise render.RenderError(f"the sender ended {times} times while it was built")
        self._mark.begin(job)
        try:
            built = super().build(job, from_, server=server)
        finally:
            self._mark.end()
        if times:
            self._mark.clear(job)
        return built
