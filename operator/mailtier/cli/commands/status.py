"""`mailtier status`: what stands in a cluster, the broken first."""

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mailtier.cli import apps, board, display, failures, options, printing, terminal
from mailtier.cli.online import rows

if TYPE_CHECKING:
    from mailtier.cli.online import looking

app = apps.new()


@app.command()
def command(
    *,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Look at one namespace; by default at all.")] = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look at all namespaces, which is the default.")
    ] = False,
    output: Annotated[
        options.StatusFormat,
        typer.Option("--output", "-o", help="wide lists every organization; json and yaml are for programs."),
    ] = options.StatusFormat.TEXT,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Keep watching until Ctrl-C; in a pipe, print only a line for each change."),
    ] = False,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show how many organizations are ready, and what is broken, worst first, with what to do.

    First comes what is stalled and needs somebody, then what is on its way, then that a restored queue is held, then
    servers that the probe found wrong, then what is suspended, then what the policy would block if it were enforced,
    then advice. Those of which the same is said are one entry.
    It exits with 0 when nothing is broken (the last three are no fault), and with 1 when something is; with
    --namespace, only what is in that namespace counts.
    """
    if namespace and all_namespaces:
        raise typer.BadParameter("use either --namespace or --all-namespaces", param_hint="--namespace")
    if watch and output in {options.StatusFormat.JSON, options.StatusFormat.YAML}:
        raise typer.BadParameter("goes with the output text or wide", param_hint="--watch")
    # The kubernetes package takes a quarter of a second to import, which --help shall not.
    from mailtier.cli.online import cluster, looking  # noqa: PLC0415 - As above.

    scope = looking.Selection(namespace=namespace, operator_namespace=operator_namespace)

    async def look() -> rows.Picture:
        async with cluster.connect(context=context, kubeconfig=kubeconfig) as api:
            seen = looking.Look(api, scope)
            await seen.list_all()
            if watch:
                await _watch(seen, wide=output is options.StatusFormat.WIDE)
            return seen.picture

    picture = asyncio.run(look())
    _print(picture, output)
    if picture.is_broken:
        raise typer.Exit(failures.Status.FAILED)


def _print(picture: rows.Picture, output: options.StatusFormat) -> None:
    match output:
        case options.StatusFormat.JSON:
            text = board.as_json(picture)
        case options.StatusFormat.YAML:
            text = board.as_yaml(picture)
        case _:
            text = "\n".join(_lines(picture, wide=output is options.StatusFormat.WIDE))
    printing.write([f"{text}\n"])


def _lines(picture: rows.Picture, *, wide: bool) -> list[str]:
    return board.text(
        picture,
        wide=wide,
        now=terminal.now(),
        painter=terminal.painter(sys.stdout),
        width=terminal.width(sys.stdout),
    )


async def _watch(seen: "looking.Look", *, wide: bool) -> None:
    """Show every change until cancelled."""
    if not sys.stdout.isatty():
        await _log(seen)
        return
    with display.drawing() as draw:
        draw(_lines(seen.picture, wide=wide))
        async with contextlib.aclosing(seen.changes()) as changes:
            async for _ in changes:
                draw(_lines(seen.picture, wide=wide))


async def _log(seen: "looking.Look") -> None:
    """Print a line with the time for each object whose state, reason or message changes.

    It ends when nobody reads them any more.
    """
    shown = _told(seen.picture)

    def tell(picture: rows.Picture) -> bool:
        present = _told(picture)
        changed = [line for name, line in present.items() if shown.get(name) != line]
        gone = [f"{name}: gone" for name in shown.keys() - present.keys()]
        shown.clear()
        shown.update(present)
        return printing.write(f"{terminal.stamp(terminal.now())} {line}\n" for line in (*changed, *gone))

    async with contextlib.aclosing(seen.changes()) as changes:
        async for _ in changes:
            if not tell(seen.picture):
                return


def _told(picture: rows.Picture) -> dict[str, str]:
    """Return what a log says of each object."""
    return {str(row): board.change(row) for row in (picture.host, *picture.organizations) if row is not None}
