"""`mailtier check`: a cluster from end to end, and what to do about what is wrong."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from mailtier.api import prose
from mailtier.cli import apps, failures, options, printing, tables, terminal
from mailtier.cli.documents import writing
from mailtier.cli.online.checking import findings

app = apps.new()

_V: Final = findings.Verdict
_COLOURS: Final = {
    _V.OK: terminal.Colour.GOOD,
    _V.WARNING: terminal.Colour.WAITING,
    _V.FAILED: terminal.Colour.BAD,
    _V.UNKNOWN: terminal.Colour.DIM,
}


@app.command()
def command(
    *,
    output: Annotated[
        options.DocumentFormat,
        typer.Option("--output", "-o", help="For people, or for programs.", case_sensitive=False),
    ] = options.DocumentFormat.TEXT,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Look at Mailtier in a cluster from end to end, and say what to do about what is wrong.

    It looks at the CRDs, your rights and the operator's, the pods, who leads, the clocks, the volume, the queue, the
    host's settings, DNS, the way to the host's server and the login there as the sender's pod finds them, and the
    intake's certificate. It changes nothing. What only the pods know is asked of their pages of metrics, through a
    port-forward; what your rights do not let you see is said to be unknown.
    It exits with 1 when anything failed, and with 0 else.
    """
    # The kubernetes package takes a quarter of a second to import, which --help shall not.
    from mailtier.cli.online import cluster  # noqa: PLC0415 - As above.
    from mailtier.cli.online.checking import gathering  # noqa: PLC0415 - As above.

    async def look() -> list[findings.CheckFinding]:
        async with cluster.connect(context=context, kubeconfig=kubeconfig) as api:
            return await gathering.Checks(api, namespace=operator_namespace, now=terminal.now).look()

    found = asyncio.run(look())
    match output:
        case options.DocumentFormat.JSON:
            text = json.dumps(findings.document(found), indent=2, ensure_ascii=False)
        case options.DocumentFormat.YAML:
            text = writing.dump(findings.document(found)).rstrip("\n")
        case _:
            text = "\n".join(_lines(found))
    printing.write([f"{text}\n"])
    if findings.is_broken(found):
        raise typer.Exit(failures.Status.FAILED)


def _lines(found: Sequence[findings.CheckFinding]) -> list[str]:
    painter, width = terminal.painter(sys.stdout), terminal.width(sys.stdout)
    body = [((each.verdict.value, _COLOURS[each.verdict]), (each.check, None)) for each in found]
    head, *entries = tables.entries(("VERDICT", "CHECK"), body, painter, width=width)
    lines = list(head)
    for each, entry in zip(found, entries, strict=True):
        lines += [*entry, *tables.sentence(each.message, painter, width=width)]
        lines += tables.sentence(each.remedy, painter, width=width) if each.remedy else []
    counts = [(verdict, sum(1 for each in found if each.verdict is verdict)) for verdict in _V]
    told = ", ".join(f"{count} {verdict.value.lower()}" for verdict, count in counts if count)
    return [*lines, "", f"{prose.counted(len(found), 'finding')}: {told}."]
