"""A job and its settings to the bytes of a message, the same bytes again when it is resent."""

import collections
import dataclasses
import json
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from mailtier.api import addresses, canonical, names
from mailtier.mail import message, render
from mailtier.sender import ports
from mailtier.sender.delivering import templates
from mailtier.sender.queueing import message_ids
from mailtier.settings import effective

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

_KEPT: Final = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A message, ready for a transaction.

    Attributes:
        mail_from: Envelope sender in wire form.
        rcpt_to: Envelope recipient in wire form.
        data: The message with CRLF line ends.
        snapshot: What it was built with beside its job; with it the same bytes can be built again.
    """

    mail_from: str
    rcpt_to: str
    data: bytes = dataclasses.field(repr=False)
    snapshot: ports.Snapshot


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """What a message is built with beside its notification: all that may differ at a resend, and must not.

    Attributes:
        id_domain: Of its Message-ID.
        language: Of its templates; None in what was built before messages told their language.
    """

    from_: effective.From
    id_domain: str
    language: str | None
    sources: render.Sources


class Builder:
    """Builds messages; keeps compiled templates and snapshots, which many messages share."""

    def __init__(self, sources: templates.Templates) -> None:
        self._templates = sources
        self._renderers: collections.OrderedDict[render.Sources, render.Renderer] = collections.OrderedDict()
        self._snapshots: collections.OrderedDict[_Design, ports.Snapshot] = collections.OrderedDict()

    def build(self, job: ports.Job, from_: effective.From) -> Built:
        """Return the message for a recipient.

        Args:
            job: With its snapshot, if it was in doubt: then that decides, and not the present settings.
            from_: Who mail is from now.

        Raises:
            render.RenderError: A template does not work with the notification's values.
            headers.MessageError: The message is too large, or holds what no header may.
            addresses.AddressError: An address is none.
        """
        snapshot = job.snapshot
        if snapshot is None:
            sources = self._templates.find(job.category, job.locale)
            domain = addresses.parse(from_.address).wire_domain
            design = _Design(from_=from_, id_domain=domain, language=job.locale.value, sources=sources)
            snapshot = self._snapshot(design)
        else:
            design = _restore(snapshot)
            from_ = design.from_
        rendered = self._renderer(design.sources).render(
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
        data = message.serialize(
            message.Message(
                from_=addresses.parse(from_.address),
                from_name=from_.display_name or "",
                reply_to=addresses.parse(from_.reply_to) if from_.reply_to else None,
                to=rcpt_to,
                subject=rendered.subject,
                text=rendered.text,
                html=rendered.html,
                date=job.accepted_at,
                message_id=message_ids.message_id(job.notification_id, job.recipient_number, domain=design.id_domain),
                language=design.language,
            )
        )
        return Built(
            mail_from=addresses.parse(from_.envelope).wire,
            rcpt_to=rcpt_to.wire,
            data=data,
            snapshot=snapshot,
        )

    def _renderer(self, sources: render.Sources) -> render.Renderer:
        return _kept(self._renderers, sources, lambda: render.Renderer(sources))

    def _snapshot(self, design: _Design) -> ports.Snapshot:
        return _kept(self._snapshots, design, lambda: _take(design))


def _take(design: _Design) -> ports.Snapshot:
    document = {
        "from": dataclasses.asdict(design.from_),
        "idDomain": design.id_domain,
        "language": design.language,
        "template": dataclasses.asdict(design.sources),
    }
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
    )


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
