"""`mailtier queue suppressions`: addresses that nothing is sent to for a while."""

import asyncio
import sys
from typing import Annotated, Any, Final

import typer

from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.online import filed, reach, target

app = apps.new()

_Namespace = Annotated[str, typer.Argument(metavar="NAMESPACE", help="The namespace.")]

_ADDRESSES_AT_ONCE: Final = 100
"""What one request names at most."""


@app.callback()
def _group() -> None:
    """List the addresses that nothing is sent to for a while, or clear them.

    An organization sends nothing to an address for seven days after a server refused it as unknown (5.1.1) in two
    messages. Password recoveries are sent all the same.
    """


@app.command("list")
@reach.with_choice
def list_(*, choice: reach.Choice, namespace: _Namespace, output: options.Output = options.Format.TEXT) -> None:
    """List the addresses to which a namespace's organizations send nothing."""

    async def ask() -> list[dict[str, Any]]:
        async with reach.open_namespace(choice, namespace) as opened:
            return await opened.suppressions(namespace)

    items = asyncio.run(ask())
    if output is options.Format.JSON:
        printing.write([f"{filed.as_json({'items': items})}\n"])
    elif not items:
        printing.write([f"no address is suppressed in {namespace}\n"])
    else:
        lines = filed.suppressed(items, terminal.painter(sys.stdout), width=terminal.width(sys.stdout))
        printing.write(f"{line}\n" for line in lines)


@app.command("clear")
@reach.with_choice
def clear(
    *,
    choice: reach.Choice,
    namespace: _Namespace,
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="The addresses, as the list prints them.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, instead of addresses.")] = False,
    organization: Annotated[str, typer.Option(help="Only those of one organization.")] = "",
    output: options.Output = options.Format.TEXT,
) -> None:
    """Have addresses tried again, as if no server had refused them.

    What ended as suppressed stays so; `mailtier queue retry --all --state suppressed` sends it.
    """
    if bool(addresses) == all_:
        raise typer.BadParameter("name addresses, or use --all, and not both", param_hint="ADDRESS")
    target.require_organization(organization, "--organization")
    of = {"organization": organization} if organization else {}
    named = addresses or []
    parts = [named[first : first + _ADDRESSES_AT_ONCE] for first in range(0, len(named), _ADDRESSES_AT_ONCE)]
    wanted: list[dict[str, Any]] = [{**of, "addresses": part} for part in parts] or [of]

    async def ask() -> int:
        async with reach.open_namespace(choice, namespace) as opened:
            return sum([await opened.clear_suppressions(namespace, each) for each in wanted])

    cleared = asyncio.run(ask())
    if named and not cleared and output is options.Format.TEXT:
        raise failures.CommandError(f"not suppressed in {namespace}: {', '.join(map(terminal.plain, named))}")
    in_text = output is options.Format.TEXT
    told = f"cleared {cleared} address{'es' * (cleared != 1)} of {namespace}"
    printing.write([f"{told}\n" if in_text else f"{filed.as_json({'cleared': cleared})}\n"])
    if named and not cleared:
        raise typer.Exit(failures.Status.FAILED)
