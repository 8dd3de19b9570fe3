"""`effective.json`: how effective settings travel from the operator to the sender, and what people see beside it.

The text is canonical (sorted keys, no blanks), so that equal settings are equal texts and nothing is written twice.
A field that is added to the values of `settings.effective` is in it without a line here.
"""

import dataclasses
import datetime as dt
import hashlib
import json
import typing
from typing import Any, Final

import msgspec

from mailtier.api import canonical, reasons, vocabulary
from mailtier.settings import effective, view

VERSION: Final = 2

_HEAD: Final = '{"hash":"'
_TAIL: Final = f',"version":{VERSION}}}'
_UNKNOWN: Final = "effective.json lacks a field or has a value that this release does not know"
_DURATIONS: Final = tuple(
    name
    for name, hint in typing.get_type_hints(effective.Delivery).items()
    if dt.timedelta in {hint, *typing.get_args(hint)}
)
_Json = dict[str, Any]


class CodecError(ValueError):
    """The text is not effective settings of this version; the sentence says what to do."""


def encode(settings: effective.Effective) -> str:
    """Return the canonical JSON of effective settings; `decode` reads it back.

    `hash` is the hexadecimal SHA-256 of the same JSON without it.
    """
    rest = f'"settings":{canonical.encode(_to_json(settings))}{_TAIL}'
    digest = hashlib.sha256(f"{{{rest}".encode()).hexdigest()
    return f'{_HEAD}{digest}",{rest}'


def decode(text: str) -> effective.Effective:
    """Return the effective settings that a text holds.

    Raises:
        CodecError: It is of another version, was edited, or is no effective settings at all.
    """
    try:
        document = json.loads(text)
        version, digest = document["version"], document["hash"]
    except (ValueError, TypeError, KeyError) as error:
        raise CodecError("the text is not effective.json; let the operator write it again") from error
    if version != VERSION:
        raise CodecError(
            f"effective.json has version {version!r}, and this program reads version {VERSION}; operator and sender"
            " must be of the same release"
        )
    rest = text.replace(f'"hash":"{digest}",', "", 1)
    if hashlib.sha256(rest.encode()).hexdigest() != digest:
        raise CodecError(
            "effective.json does not match its hash; somebody edited it, so let the operator write it again"
        )
    try:
        settings = _from_json(document["settings"])
    except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
        raise CodecError(_UNKNOWN) from error
    if encode(settings) != text:
        # A field with a default was missing, or one that nobody knows was there.
        raise CodecError(_UNKNOWN)
    return settings


def flat_keys(settings: effective.Effective) -> dict[str, str]:
    """Return what stands beside `effective.json` for people: values by their dotted paths.

    `provenance` and `findings` are one text each, a line an entry, as `kubectl get -o yaml` shows them best.
    """
    nested = view.nest(settings, viewer=vocabulary.Origin.HOST)
    flat = {**view.flatten(nested), **view.details(settings)}
    flat["state"], flat["source"] = settings.state.value, settings.source.value
    origins = view.provenance(settings, nested)
    flat["provenance"] = "".join(f"{path}: {origins[path]}\n" for path in sorted(origins))
    told = {"findings": settings.findings, "audited": settings.audited, "byAddress": settings.by_address.findings}
    if settings.fallback is not None:
        told["fallbackByAddress"] = settings.fallback.by_address.findings
    for name, findings in told.items():
        if findings:
            flat[name] = "".join(
                f"{finding.reason}: {finding.field}{': ' if finding.field else ''}{finding.message}\n"
                for finding in findings
            )
    return flat


def probe_key(settings: effective.Effective) -> str:
    """Return what organizations have in common that share a probe; "" where there is nothing to probe.

    Endpoint, credentials by reference, EHLO name and envelope address are in it: the probe goes as far as MAIL FROM.
    So is what forbids the settings if the server is found to be the host's, because the probe tells that. The Secret's
    version is not: a probe says itself which one it speaks of.
    """
    if settings.endpoint is None or settings.auth is None:
        return ""
    auth = msgspec.to_builtins(settings.auth)
    for reference in (auth["secret"], auth["certificate"]):
        if reference is not None:
            del reference["version"]
    parts = {
        "endpoint": msgspec.to_builtins(settings.endpoint),
        "auth": auth,
        "helo_name": settings.delivery.helo_name,
        "envelope": settings.from_.envelope if settings.from_ else None,
        "by_address": [settings.by_address.is_trusted, *_findings_to_json(settings.by_address.findings)],
    }
    return canonical.digest(parts)


def _to_json(settings: effective.Effective) -> _Json:
    document: _Json = msgspec.to_builtins(settings, builtin_types=(dt.timedelta,), str_keys=True)
    document["from"] = document.pop("from_")
    document["organization"] = [settings.organization.namespace, settings.organization.name]
    document["findings"] = _findings_to_json(settings.findings)
    document["audited"] = _findings_to_json(settings.audited)
    document["by_address"]["findings"] = _findings_to_json(settings.by_address.findings)
    _seconds_to_json(document["delivery"])
    fallback, there = settings.fallback, document["fallback"]
    if fallback is not None:
        _seconds_to_json(there["delivery"])
        there["by_address"]["findings"] = _findings_to_json(fallback.by_address.findings)
    return document


def _seconds_to_json(delivery: _Json) -> None:
    for name in _DURATIONS:
        duration = delivery.pop(name)
        # The API knows whole seconds alone.
        delivery[f"{name}_seconds"] = None if duration is None else int(duration.total_seconds())


def _from_json(document: _Json) -> effective.Effective:
    namespace, name = document["organization"]
    there = document["fallback"]
    plain = {
        **document,
        "organization": {"namespace": namespace, "name": name},
        "from_": document["from"],
        "delivery": _seconds_from_json(document["delivery"]),
        "findings": (),
        "audited": (),
        "by_address": {**document["by_address"], "findings": ()},
        "fallback": there
        and {
            **there,
            "delivery": _seconds_from_json(there["delivery"]),
            "by_address": {**there["by_address"], "findings": ()},
        },
    }
    settings = msgspec.convert(plain, effective.Effective, builtin_types=(dt.timedelta,))
    by_address = _findings_from_json(document["by_address"]["findings"])
    fallback = settings.fallback
    if fallback is not None:
        found = _findings_from_json(there["by_address"]["findings"])
        fallback = dataclasses.replace(fallback, by_address=dataclasses.replace(fallback.by_address, findings=found))
    return dataclasses.replace(
        settings,
        findings=_findings_from_json(document["findings"]),
        audited=_findings_from_json(document["audited"]),
        by_address=dataclasses.replace(settings.by_address, findings=by_address),
        fallback=fallback,
    )


def _seconds_from_json(document: _Json) -> _Json:
    delivery = dict(document)
    for duration in _DURATIONS:
        seconds = delivery.pop(f"{duration}_seconds")
        delivery[duration] = None if seconds is None else dt.timedelta(seconds=seconds)
    return delivery


def _findings_to_json(findings: tuple[effective.Finding, ...]) -> list[list[str]]:
    return [[found.reason.name, found.field, found.message] for found in findings]


def _findings_from_json(entries: list[list[str]]) -> tuple[effective.Finding, ...]:
    return tuple(
        effective.Finding(reason=reasons.BY_NAME[reason], field=field, message=message)
        for reason, field, message in entries
    )
