"""A job and its settings to the bytes of a message, the same bytes again when it is resent."""

import collections
import dataclasses
import json
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from mailtier.api import addresses, canonical, names, vocabulary
from mailtier.mail import message, render
from mailtier.sender import ports
from mailtier.sender.delivering import templates
from mailtier.sender.queueing import message_ids
from mailtier.settings import effective

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

_KEPT: Final = 1_024
"""Some ten kilobytes each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A message, ready for a transaction.

    Attributes:
        mail_from: Envelope sender in wire form.
        rcpt_to: Envelope recipient in wire form.
        data: The message with CRLF line ends.
        snapshot: What it was built with beside its job; with it the same bytes can be built again.
        id_domain: Of its Message-ID.
    """

    mail_from: str
    rcpt_to: str
    data: bytes = dataclasses.field(repr=False)
    snapshot: ports.Snapshot
    id_domain: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """What a message is built with beside its notification: all that may differ at a resend, and must not.

    Attributes:
        id_domain: Of its Message-ID.
        language: Of its templates; None in what was built before messages told their language.
        server: Where it goes, where that is one of two; "" otherwise.
    """

    from_: effective.From
    id_domain: str
    language: str | None
    sources: render.Sources
    server: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """A design with all that is the same in each of its messages."""

    design: _Design
    snapshot: ports.Snapshot
    renderer: render.Renderer
    from_: addresses.Mailbox
    from_name: str
    reply_to: addresses.Mailbox | None
    mail_from: str


class Builder:
    """Builds messages; keeps compiled templates, and patterns, which many messages share."""

    def __init__(self, sources: templates.Templates) -> None:
        self._templates = sources
        self._renderers: collections.OrderedDict[render.Sources, render.Renderer] = collections.OrderedDict()
        self._patterns: collections.OrderedDict[
            tuple[effective.From, vocabulary.Category, vocabulary.Locale, str, str | None], _Pattern
        ] = collections.OrderedDict()

    def build(self, job: ports.Job, from_: effective.From, *, server: str = "") -> Built:
        """Return the message for a recipient.

        Args:
            job: With its snapshot, if it was in doubt: then that decides, and not the present settings. Its Message-ID
                is in any case the one that it was first built with.
            from_: Who mail is from now.
            server: Where it goes, where that is one of two: there it is in doubt, if it comes to that.

        Raises:
            render.RenderError: A template does not work with the notification's values.
            headers.MessageError: The message is too large, or holds what no header may.
            addresses.AddressError: An address is none.
        """
        if job.snapshot is None:
            key = from_, job.category, job.locale, server, job.id_domain
            pattern = _kept(self._patterns, key, lambda: self._present(*key))
        else:
            pattern = self._pattern(_restore(job.snapshot), job.snapshot)
        rendered = pattern.renderer.render(
            render.NotificationValues(
                organization=_shown(job.lane),
                category=job.category,
                severity=job.severity,
                subject=job.subject,
                text=job.text,
                data=job.data,
                at=job.accepted_at,
            )
        )
        rcpt_to = addresses.parse(job.rcpt_to)
        design = pattern.design
        data = message.serialize(
            message.Message(
                from_=pattern.from_,
                from_name=pattern.from_name,
                reply_to=pattern.reply_to,
                to=rcpt_to,
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                known_parts=pattern.renderer.known_parts,
                date=job.accepted_at,
                message_id=message_ids.message_id(job, domain=design.id_domain),
                language=design.language,
            )
        )
        return Built(
            mail_from=pattern.mail_from,
            rcpt_to=rcpt_to.wire,
            data=data,
            snapshot=pattern.snapshot,
            id_domain=design.id_domain,
        )

    def _present(
        self,
        from_: effective.From,
        category: vocabulary.Category,
        locale: vocabulary.Locale,
        server: str,
        id_domain: str | None,
    ) -> _Pattern:
        """Return the pattern of what is built by present settings."""
        design = _Design(
            from_=from_,
            id_domain=id_domain or addresses.parse(from_.address).wire_domain,
            language=locale.value,
            sources=self._templates.find(category, locale),
            server=server,
        )
        return self._pattern(design, _take(design))

    def _pattern(self, design: _Design, snapshot: ports.Snapshot) -> _Pattern:
        from_, sources = design.from_, design.sources
        return _Pattern(
            design=design,
            snapshot=snapshot,
            renderer=_kept(self._renderers, sources, lambda: render.Renderer(sources)),
            from_=addresses.parse(from_.address),
            from_name=from_.display_name or "",
            reply_to=addresses.parse(from_.reply_to) if from_.reply_to else None,
            mail_from=addresses.parse(from_.envelope).wire,
        )


def _take(design: _Design) -> ports.Snapshot:
    document = {
        "from": dataclasses.asdict(design.from_),
        "idDomain": design.id_domain,
        "language": design.language,
        "template": dataclasses.asdict(design.sources),
    }
    if design.server:
        document["server"] = design.server
    return ports.Snapshot(settings=canonical.encode(document))


def _restore(snapshot: ports.Snapshot) -> _Design:
    document: dict[str, Any] = json.loads(snapshot.settings)
    template = document["template"]
    words = tuple((word, spoken) for word, spoken in template.pop("words", ()))
    return _Design(
        from_=effective.From(**document["from"]),
        id_domain=document.get("idDomain", message_ids.FORMER_DOMAIN),
        language=document.get("language"),
        sources=render.Sources(**template, words=words),
        server=document.get("server", ""),
    )


def server_of(snapshot: ports.Snapshot) -> str:
    """Return where the message of a snapshot went, where that was one of two servers; "" otherwise."""
    return _restore(snapshot).server


def _shown(lane: ports.LaneKey) -> str:
    """Return an organization as recipients read it: by its namespace, unless that has several."""
    if lane.organization == names.DEFAULT_ORGANIZATION:
        return lane.namespace
    return f"{lane.namespace}/{lane.organization}"


def _kept(cache: "collections.OrderedDict[_K, _V]", key: _K, make: Callable[[], _V]) -> _V:
    """Return what a cache has for a key, made if need be; what was not used for longest makes room."""
    found = cache.get(key)
    if found is None:
        found = cache[key] = make()
        if len(cache) > _KEPT:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return found
