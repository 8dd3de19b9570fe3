"""`mailtier queue move`: from the volume of a sender that is not running into a Postgres database."""

import asyncio
import dataclasses
import datetime as dt
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mailtier.api import vocabulary
from mailtier.cli import apps, failures, options, printing, tables, terminal

if TYPE_CHECKING:
    from mailtier.sender.roles import moving

app = apps.new()


@app.command("move")
def move(
    *,
    to_dsn_file: Annotated[
        pathlib.Path,
        typer.Option(
            help="A file with the address of the Postgres database, as `mailtier sender --queue-dsn-file` has it."
        ),
    ],
    data_dir: Annotated[
        pathlib.Path, typer.Option(help="The queue's volume, as the sender has it.", envvar="MAILTIER_DATA_DIR")
    ] = pathlib.Path("/var/lib/mailtier"),
    rows: Annotated[int, typer.Option(help="How many are stored in one transaction.", min=1, hidden=True)] = 500,
    output: options.Output = options.Format.TEXT,
) -> None:
    """Move the queue of a sender that is not running into a Postgres database.

    The queue on the volume is sealed first: no sender opens it any more. Whatever interrupts this command, run it
    again, and it goes on: nothing is lost, and nothing comes twice. Senders of the database may be started as soon as
    it says so, while the rest is still on its way. At the end texts are wiped on the volume.
    """
    options.require_address(to_dsn_file, "--to-dsn-file")
    # What they import is more than all of the other commands.
    from mailtier.sender.roles import moving  # noqa: PLC0415 - As above.
    from mailtier.sender.roles import options as roles  # noqa: PLC0415

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    moving_ = moving.move(
        data_dir / roles.QUEUE_FOLDER,
        to_dsn_file,
        now=lambda: dt.datetime.now(dt.UTC),  # noqa: TID251  # The command is where the time comes from.
        say=say,
        rows=rows,
    )
    try:
        summary = asyncio.run(moving_)
    except (*moving.FAULTS, OSError) as error:
        raise failures.CommandError(failures.told(error)) from error
    if output is options.Format.JSON:
        printing.write([f"{json.dumps(dataclasses.asdict(summary), indent=2)}\n"])
    else:
        printing.write(f"{line}\n" for line in _summarized(summary))


def _summarized(summary: "moving.MoveSummary") -> Iterator[str]:
    """Yield lines that say what was moved."""
    body: list[list[tables.Cell]] = [
        [(state.value, None), (str(summary.before.get(state, 0)), None), (str(summary.after.get(state, 0)), None)]
        for state in vocabulary.RecipientState
        if state in summary.before or state in summary.after
    ]
    total = [sum(summary.before.values()), sum(summary.after.values())]
    body.append([("all recipients", None), *((str(count), None) for count in total)])
    yield from tables.table(
        ("STATE", "BEFORE", "AFTER"), body, terminal.painter(sys.stdout), width=terminal.width(sys.stdout)
    )
    yield ""
    yield f"{summary.notifications} notifications of this queue are in {summary.place}"
    if summary.there:
        yield f"{summary.there} were there already, under the same id, and were left as they are"
    if summary.repeats:
        yield f"{summary.repeats} had a key, or were of an object, that was taken in there as well: both are delivered"
    if summary.restored:
        yield f"it is held, as restored from a backup of {summary.restored}: `mailtier queue resume`"
