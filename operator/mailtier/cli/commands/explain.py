"""`mailtier explain`: where each effective value comes from, who may change it, and what would be without it."""

import asyncio
import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from mailtier.api import names
from mailtier.cli import apps, failures, options, printing, tables, terminal
from mailtier.cli.documents import writing
from mailtier.cli.offline import inputs, judging, rendering
from mailtier.cli.offline.explanation import explaining, narrating
from mailtier.cli.offline.files import world
from mailtier.cli.online import target
from mailtier.settings import effective

app = apps.new()

_NAMED: Final = 5
"""How many organizations are named where another was asked for."""

_EXAMPLES = """\b
Examples:
  mailtier explain acme/default
  mailtier explain acme/default from.address
  mailtier explain acme smtp -f clusters/production
  mailtier explain acme --overrides
  mailtier explain host -f clusters/production -o json
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An explanation with what is told beside it.

    Attributes:
        places: Where each override is written.
        conditions: Those of the object's status, from a cluster.
    """

    explanation: explaining.Explanation
    places: Mapping[str, str]
    conditions: Sequence[Mapping[str, Any]] = ()


@app.command(epilog=_EXAMPLES)
def command(
    organization: Annotated[
        str,
        typer.Argument(
            metavar="ORGANIZATION",
            help="NAMESPACE/NAME; NAMESPACE alone means its organization default, and `host` the host's own settings.",
        ),
    ],
    field: Annotated[
        str,
        typer.Argument(
            metavar="FIELD",
            help="A field or a group, such as smtp or from.address: all about it instead of a table.",
            show_default=False,
        ),
    ] = "",
    *,
    filename: inputs.Files = None,
    output: Annotated[
        inputs.SettingsFormat,
        typer.Option("--output", "-o", help="text for people, yaml and json for programs.", case_sensitive=False),
    ] = inputs.SettingsFormat.TEXT,
    overrides: inputs.Overrides = False,
    quiet: inputs.Quiet = False,
    strict_references: inputs.Strict = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> int:
    """Show where each effective value comes from, who may change it, and what would be so without an override.

    With -f it looks at files and needs no cluster. Without, it reads the cluster's objects and the conditions in
    their status; Secrets are not read.
    """
    key = None if organization == rendering.HOST else _key(organization)
    if overrides and key is None:
        raise typer.BadParameter(
            "goes with an organization; the host's settings override nothing", param_hint="--overrides"
        )
    if filename:
        judge = inputs.judge(inputs.load(filename), namespace=operator_namespace, strict=strict_references)
        found = _offline(judge, key)
        inputs.say_noted(judge)
        inputs.say_all(judge, quiet=quiet)
    else:
        found = _online(key, namespace=operator_namespace, context=context, kubeconfig=kubeconfig)
    rows = found.explanation.rows
    if field and not (rows := explaining.select(found.explanation, field)):
        raise typer.BadParameter(explaining.unknown(found.explanation, field), param_hint="FIELD")
    if overrides:
        rows = explaining.overriding(found.explanation, field)
        if not rows and output == inputs.SettingsFormat.TEXT:
            what = f"nothing of {field}" if field else "nothing"
            inputs.say(f"{what} is overridden by {found.explanation.name}")
    printing.write(_lines(found, rows, output, detailed=bool(field)))
    return failures.Status.OK


def _key(text: str) -> effective.OrganizationKey:
    parsed = target.OrganizationName.parse(text)
    return effective.OrganizationKey(namespace=parsed.namespace, name=parsed.name)


def _offline(judge: judging.Judge, key: effective.OrganizationKey | None) -> _Found:
    objects = judge.world
    if key is None:
        return _Found(explanation=_host(judge, "in the input"), places={})
    explanation = _organization(judge, key, "in the input")
    found = objects.organizations.get(key)
    places = {} if found is None else {path: explaining.place(found.document, path) for path in explanation.without}
    return _Found(explanation=explanation, places=places)


def _online(
    key: effective.OrganizationKey | None, *, namespace: str, context: str, kubeconfig: pathlib.Path | None
) -> _Found:
    # Imported here, because what asks a cluster takes long to import and is of no use to files.
    from mailtier.cli.online import live  # noqa: PLC0415

    seen = asyncio.run(live.read(key, context=context, kubeconfig=kubeconfig))
    judge = inputs.judge(seen.objects, namespace=namespace, strict=False)
    if key is None:
        explanation = _host(judge, "in the cluster")
    elif seen.sees_host:
        explanation = _organization(judge, key, "in the cluster")
    elif key in seen.objects.organizations:
        inputs.say(
            f"you may not read HostEmailSettings {names.HOST_NAME}, so that this is what the operator wrote in status;"
            " what would be without an override is not known"
        )
        explanation = explaining.from_status(str(key), seen.status)
    else:
        raise failures.CommandError(f"there is no OrgEmailSettings {key} that you may see")
    # What the operator found in Secrets is in the state that it wrote.
    state = str(seen.status.get("state", explanation.state))
    return _Found(
        explanation=dataclasses.replace(explanation, state=state),
        places={},
        conditions=tuple(seen.status.get("conditions", ())),
    )


def _host(judge: judging.Judge, where: str) -> explaining.Explanation:
    resolution = judge.host()
    if resolution is None:
        raise failures.CommandError(f"there is no HostEmailSettings {names.HOST_NAME} {where}")
    return explaining.host(resolution)


def _organization(judge: judging.Judge, key: effective.OrganizationKey, where: str) -> explaining.Explanation:
    known = judge.organizations()
    if key not in known:
        raise failures.CommandError(f"there is no organization {key} {where}{_alternatives(known, judge.world)}")
    return explaining.organization(judge, key)


def _alternatives(known: Sequence[effective.OrganizationKey], objects: world.World) -> str:
    if not known:
        return ", nor any other" if objects.ours else f", nor any object of {names.GROUP}"
    shown = ", ".join(str(key) for key in known[:_NAMED])
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"; there {'is' if len(known) == 1 else 'are'} {shown}{more}"


def _lines(
    found: _Found, rows: Sequence[explaining.ExplainedValue], output: inputs.SettingsFormat, *, detailed: bool
) -> Iterator[str]:
    if output == inputs.SettingsFormat.TEXT:
        painter, width = terminal.painter(sys.stdout), terminal.width(sys.stdout)
        yield from narrating.as_text(
            found.explanation,
            rows,
            detailed=detailed,
            places=found.places,
            painter=painter,
            width=width,
            line_width=terminal.line_width(sys.stdout),
        )
        if found.conditions and not detailed:
            yield "\n"
            yield from _conditions(found.conditions, painter, width)
        return
    document = narrating.to_json(found.explanation, rows, found.places)
    if found.conditions:
        document["conditions"] = list(found.conditions)
    if output == inputs.SettingsFormat.YAML:
        yield writing.dump(document)
    else:
        yield json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _conditions(conditions: Sequence[Mapping[str, Any]], painter: terminal.Painter, width: int) -> Iterator[str]:
    body = [
        tuple((str(condition.get(name, "")), None) for name in ("type", "status", "reason")) for condition in conditions
    ]
    head, *entries = tables.entries(("CONDITION", "STATUS", "REASON"), body, painter, width=width)
    yield from (f"{line}\n" for line in head)
    for condition, entry in zip(conditions, entries, strict=True):
        told = tables.sentence(str(condition.get("message", "")), painter, width=width)
        yield from (f"{line}\n" for line in (*entry, *told))
