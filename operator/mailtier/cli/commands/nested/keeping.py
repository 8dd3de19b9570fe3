"""`mailtier sender backup`, `restore` and `mark-restored`: copies of the queue, and what is held after one is used."""

import asyncio
import datetime as dt
import pathlib
from typing import Annotated, Final

import typer

from mailtier.cli import apps, failures, options, printing

app = apps.new()

_DataDir = Annotated[
    pathlib.Path, typer.Option(help="The queue's volume, as the sender has it.", envvar="MAILTIER_DATA_DIR")
]
_DATA_DIR: Final = pathlib.Path("/var/lib/mailtier")


@app.command("backup")
def back_up(
    *,
    file: Annotated[pathlib.Path, typer.Argument(help="The file to write; it must not exist yet.")],
    data_dir: _DataDir = _DATA_DIR,
) -> None:
    """Write a copy of the queue; a sender that has it open goes on.

    A queue restored from it is held until `mailtier queue resume`. Texts of password recoveries are not in it.
    """
    # What they import is more than all of the supervisor, which is the same command.
    from mailtier.sender.roles import options as roles  # noqa: PLC0415 - As above.
    from mailtier.sender.storage.sqlite import backup  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)  # noqa: TID251  # The command is where the time comes from.
    try:
        size_bytes = backup.write(data_dir / roles.QUEUE_FOLDER, file, now=now)
    except (*backup.FAULTS, OSError) as error:
        raise failures.CommandError(failures.told(error)) from error
    printing.write([f"{file}   {size_bytes} bytes\n"])


@app.command("restore")
def restore(
    *,
    file: Annotated[pathlib.Path, typer.Argument(help="A file that `backup` wrote.")],
    data_dir: _DataDir = _DATA_DIR,
    replace: Annotated[bool, typer.Option("--replace", help="Discard the queue that is there.")] = False,
) -> None:
    """Restore a queue from a backup, for a sender that is not running.

    A sender that is started on it delivers nothing, and lets nothing expire, until somebody runs `mailtier queue
    resume`: what was delivered after the backup would be delivered again.
    """
    # What they import is more than all of the supervisor, which is the same command.
    from mailtier.sender.roles import options as roles  # noqa: PLC0415 - As above.
    from mailtier.sender.storage.sqlite import backup  # noqa: PLC0415

    try:
        made_at = backup.restore(file, data_dir / roles.QUEUE_FOLDER, replace=replace)
    except (*backup.FAULTS, OSError) as error:
        raise failures.CommandError(failures.told(error)) from error
    printing.write([f"restored the queue as it was at {made_at}; it is held until `mailtier queue resume`\n"])


@app.command("mark-restored")
def mark_restored(
    *,
    queue_dsn_file: Annotated[
        pathlib.Path,
        typer.Option(help="A file with the address of the Postgres database.", envvar="MAILTIER_QUEUE_DSN_FILE"),
    ],
    made_at: Annotated[
        str, typer.Option(metavar="TIME", help="The time that it was restored to, such as 2026-03-01T12:00:00Z.")
    ] = "",
) -> None:
    """Hold everything in a restored database, before its senders start.

    They deliver nothing, and let nothing expire, until somebody runs `mailtier queue resume`: what was delivered after
    the time to which it was restored would be delivered again.
    """
    options.require_address(queue_dsn_file, "--queue-dsn-file")
    # What it imports is more than all of the supervisor, which is the same command.
    from mailtier.sender.roles import marking  # noqa: PLC0415 - As above.

    now = dt.datetime.now(dt.UTC)  # noqa: TID251  # The command is where the time comes from.
    of = _made_at(made_at, now) if made_at else None
    try:
        asyncio.run(marking.mark_restored(queue_dsn_file, made_at=of, now=now))
    except (*marking.FAULTS, OSError) as error:
        raise failures.CommandError(failures.told(error)) from error
    printing.write(["marked: senders that start on it hold everything until `mailtier queue resume`\n"])


def _made_at(text: str, now: dt.datetime) -> dt.datetime:
    """Return what `--made-at` says.

    Raises:
        BadParameter: It is no time, has no time zone, or is to come.
    """
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a time, such as 2026-03-01T12:00:00Z", param_hint="--made-at"
        ) from None
    if found.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} has no time zone: add it, such as Z for UTC (2026-03-01T12:00:00Z)", param_hint="--made-at"
        )
    if found > now:
        raise typer.BadParameter(
            f"{text!r} is in the future: name the time that the database was restored to", param_hint="--made-at"
        )
    return found
