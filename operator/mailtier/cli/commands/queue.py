"""`mailtier queue`: look at what is queued and what failed, send it again, drop it, and release what is held."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from mailtier.api import prose, types, vocabulary
from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.commands.nested import moving, suppressions
from mailtier.cli.online import filed, reach, target

app = apps.new()
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(moving.app)

_Namespace = Annotated[str, typer.Argument(metavar="NAMESPACE", help="The namespace.")]
_Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Notification ids, as `queue list` prints them.")
]
_State = Annotated[
    vocabulary.RecipientState | None, typer.Option(help="Only notifications with a recipient in this state.")
]
_Reason = Annotated[str, typer.Option(help="Only notifications shown with this reason, such as RecipientRefused.")]
_Organization = Annotated[str, typer.Option(help="Only those of one organization.")]
_Destination = Annotated[
    str, typer.Option(metavar="HOST[:PORT]", help="Only those of organizations that use this server now.")
]
_OlderThan = Annotated[str, typer.Option(metavar="DURATION", help="Accepted at least this long ago, such as 1h30m.")]
_All = Annotated[bool, typer.Option("--all", help="Everything that the filters match, instead of ids.")]
_Interactive = Annotated[bool, typer.Option("--interactive", "-i", help="Ask for confirmation first.")]


@app.callback()
def _group() -> None:
    """Look at what is queued and what failed, send it again, drop it, and release what is held.

    It asks the sender through a port-forward, with the token of a ServiceAccount that may `list`, `get` or `update`
    notifications in the namespace. `move` works on the files of a sender that is not running instead.
    """


@app.command("list")
@reach.with_choice
def list_(
    *,
    choice: reach.Choice,
    namespace: _Namespace,
    state: _State = None,
    reason: _Reason = "",
    organization: _Organization = "",
    destination: _Destination = "",
    older_than: _OlderThan = "",
    output: options.Output = options.Format.TEXT,
) -> None:
    """List a namespace's notifications, the latest first.

    They are those that wait, and those that finished in the last seven days.
    """
    wanted = _wanted(state, reason, organization, destination, older_than)
    items = asyncio.run(_listed(choice, namespace, wanted, lambda _: True))
    if output is options.Format.JSON:
        printing.write([f"{filed.as_json({'items': items})}\n"])
    elif not items:
        nothing = f"nothing of {namespace} is queued, and nothing is kept of what was"
        printing.write([f"no notifications in {namespace} match {wanted}\n" if wanted else f"{nothing}\n"])
    else:
        lines = filed.table(items, terminal.painter(sys.stdout), width=terminal.width(sys.stdout), wanted=wanted)
        printing.write(f"{line}\n" for line in lines)


@app.command()
@reach.with_choice
def show(
    *,
    choice: reach.Choice,
    namespace: _Namespace,
    notification: Annotated[str, typer.Argument(metavar="ID", help="The id, as `queue list` prints it.")],
    output: options.Output = options.Format.TEXT,
) -> None:
    """Show a notification: each recipient with its state, and what the server said."""
    target.require_ids([notification], namespace)

    async def ask() -> dict[str, Any]:
        async with reach.open_namespace(choice, namespace) as opened:
            return await opened.filed(namespace, notification)

    item = asyncio.run(ask())
    if output is options.Format.JSON:
        printing.write([f"{filed.as_json(item)}\n"])
    else:
        width = terminal.line_width(sys.stdout)
        lines = filed.details(item, terminal.painter(sys.stdout), width=width, namespace=namespace)
        printing.write(f"{line}\n" for line in lines)


@app.command()
@reach.with_choice
def retry(
    *,
    choice: reach.Choice,
    namespace: _Namespace,
    ids: _Ids = None,
    all_: _All = False,
    state: _State = None,
    reason: _Reason = "",
    organization: _Organization = "",
    destination: _Destination = "",
    older_than: _OlderThan = "",
    interactive: _Interactive = False,
    output: options.Output = options.Format.TEXT,
) -> None:
    """Send again what failed, expired or was suppressed, with the present settings.

    Ids and Message-IDs stay; the time to expire begins anew. Text is kept for seven days after the end, and never of a
    password recovery. It exits with 1 where something is not sent again, and says why.
    """
    wanted = _wanted(state, reason, organization, destination, older_than)
    chosen = _Chosen(namespace, ids=ids or (), all_=all_, wanted=wanted, fits=filed.is_retryable)
    asyncio.run(_act(choice, namespace, _Act("retry", "sent again"), chosen, interactive=interactive, output=output))


@app.command()
@reach.with_choice
def drop(
    *,
    choice: reach.Choice,
    namespace: _Namespace,
    ids: _Ids = None,
    all_: _All = False,
    state: _State = None,
    reason: _Reason = "",
    organization: _Organization = "",
    destination: _Destination = "",
    older_than: _OlderThan = "",
    interactive: _Interactive = False,
    output: options.Output = options.Format.TEXT,
) -> None:
    """End what waits, and wipe the text of what failed.

    What is on the wire at this moment is not taken back. It exits with 1 where something is not dropped, and says why.
    """
    wanted = _wanted(state, reason, organization, destination, older_than)
    chosen = _Chosen(namespace, ids=ids or (), all_=all_, wanted=wanted, fits=filed.is_droppable)
    asyncio.run(_act(choice, namespace, _Act("drop", "dropped"), chosen, interactive=interactive, output=output))


@app.command()
@reach.with_choice
def release(
    *,
    choice: reach.Choice,
    organization: Annotated[
        str, typer.Argument(metavar="ORGANIZATION", help="NAMESPACE/NAME; NAMESPACE alone means its default.")
    ],
    output: options.Output = options.Format.TEXT,
) -> None:
    """Retry an organization's held and deferred messages now.

    What still holds them, such as blocked settings, holds them again: then the command says so, and exits with 1. A
    login of the organization's own that was refused is tried once more, three times an hour at most; the host's is not.
    """
    asked = target.OrganizationName.parse(organization)

    async def ask() -> dict[str, Any]:
        async with reach.open_patiently(choice, asked) as opened:
            return await opened.release(asked)

    released = asyncio.run(ask())
    in_text = output is options.Format.TEXT
    printing.write([f"{asked}   {filed.release(released)}\n" if in_text else f"{filed.as_json(released)}\n"])
    if "held" in released:
        raise typer.Exit(failures.Status.FAILED)


@app.command()
@reach.with_choice
def resume(*, choice: reach.Choice, output: options.Output = options.Format.TEXT) -> None:
    """Resume a queue that is held because it was restored from a backup.

    What was delivered after the backup is delivered again; `mailtier queue drop` ends what must not be. It takes an
    account that may update HostEmailSettings.
    """

    async def ask() -> dict[str, Any]:
        async with asyncio.timeout(reach.LONGEST_SECONDS), reach.open_intake(choice, None) as opened:
            return await opened.resume()

    found = asyncio.run(ask())
    told = (
        f"resumed the queue that was restored from the backup of {found.get('backupOf')}"
        if found.get("resumed")
        else "no restored queue is held"
    )
    in_text = output is options.Format.TEXT
    printing.write([f"{told}\n" if in_text else f"{filed.as_json(found)}\n"])


class _Act:
    """Something that is done with notifications.

    Args:
        name: As the intake has it.
        done: What it is called once it is done.
    """

    def __init__(self, name: str, done: str) -> None:
        self.name = name
        self.done = done


class _Chosen:
    """Which notifications something is done with.

    Args:
        namespace: Whose they are.
        ids: Named ones.
        all_: Whether all that the filters let through, in place of ids.
        wanted: The filters.
        fits: Whether it can be done with one that is listed.

    Raises:
        BadParameter: It is neither, or both.
    """

    def __init__(
        self,
        namespace: str,
        *,
        ids: Sequence[str],
        all_: bool,
        wanted: filed.FiledFilter,
        fits: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        if bool(ids) == all_:
            either = (
                "ids, or --all, and not both"
                if ids
                else f"ids (`mailtier queue list {namespace}` shows them), or --all"
            )
            raise typer.BadParameter(f"name {either}", param_hint="ID")
        if wanted and not all_:
            raise typer.BadParameter("filters go with --all", param_hint="--all")
        self.ids = target.require_ids(ids, namespace)
        self.wanted = wanted
        self.fits = fits


async def _act(
    choice: reach.Choice,
    namespace: str,
    act: _Act,
    chosen: _Chosen,
    *,
    interactive: bool,
    output: options.Format,
) -> None:
    ids = chosen.ids or [item["id"] for item in await _listed(choice, namespace, chosen.wanted, chosen.fits)]
    if interactive and ids:
        count = prose.counted(len(ids), "notification")
        _require_agreement(f"{act.name.capitalize()} {count} of {namespace}?")
    async with reach.open_namespace(choice, namespace) as opened:
        results = await filed.act(opened, act.name, namespace, ids)
    refused = [result for result in results if not filed.is_done(result)]
    if output is options.Format.JSON:
        printing.write([f"{filed.as_json({'results': results})}\n"])
    else:
        printing.write(f"{filed.outcome(result, act.done)}\n" for result in results)
        if not results:
            printing.write([f"there is nothing to be {act.done}\n"])
    if refused:
        raise typer.Exit(failures.Status.FAILED)


def _require_agreement(question: str) -> None:
    """Return once somebody has agreed.

    Raises:
        CommandError: Nobody did.
    """
    # On stderr, so that what programs read has no question in it.
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise failures.CommandError("nothing is done")


async def _listed(
    choice: reach.Choice, namespace: str, wanted: filed.FiledFilter, fits: Callable[[Mapping[str, Any]], bool]
) -> list[dict[str, Any]]:
    async with reach.open_namespace(choice, namespace) as opened:
        return [item async for item in filed.listed(opened, namespace, wanted) if fits(item)]


def _wanted(
    state: vocabulary.RecipientState | None, reason: str, organization: str, destination: str, older_than: str
) -> filed.FiledFilter:
    """Return what the filters say.

    Raises:
        BadParameter: One of them can mean nothing.
    """
    target.require_organization(organization, "--organization")
    target.require_server(destination, "--destination")
    try:
        if older_than:
            types.parse_duration(older_than)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from None
    if reason and (fault := filed.unknown_reason(reason)):
        raise typer.BadParameter(fault, param_hint="--reason")
    return filed.FiledFilter(
        state="" if state is None else state.value,
        reason=reason,
        organization=organization,
        destination=destination,
        older_than=older_than,
    )
