"""`mailtier send`: hand a test notification over, and follow it to its end."""

import asyncio
import sys
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mailtier.api import vocabulary
from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.online import reach, sending, target

app = apps.new()

_SUBJECT = "Test of Mailtier"
_TEXT = "This is a test: somebody ran `mailtier send`. Nothing is to be done."


@app.command()
@reach.with_choice
def command(
    *,
    choice: reach.Choice,
    organization: Annotated[
        str, typer.Argument(metavar="ORGANIZATION", help="NAMESPACE/NAME; NAMESPACE alone means its default.")
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="ADDRESS", help="A recipient; may be repeated. By default the category's recipients."
        ),
    ] = None,
    category: Annotated[
        vocabulary.Category, typer.Option(help="The category, which chooses the template.")
    ] = vocabulary.Category.JOB_ALERT,
    severity: Annotated[vocabulary.Severity, typer.Option(help="The severity.")] = vocabulary.Severity.INFO,
    subject: Annotated[str, typer.Option(help="The subject.")] = _SUBJECT,
    text: Annotated[str, typer.Option(help="The text.")] = _TEXT,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A value for the template, such as link; may be repeated."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to wait for room in the queue, and for the final states.")
    ] = True,
    idempotency_key: Annotated[
        str, typer.Option(metavar="KEY", help="Reuse the key of an earlier attempt so that it is not sent twice.")
    ] = "",
    timeout: options.Timeout = options.TIMEOUT,
    output: options.Output = options.Format.TEXT,
) -> None:
    """Send a test notification with an organization's settings, and print each change of its state.

    It exits with 0 when the SMTP server accepted it for everybody, 1 when it failed or expired, and 124 when it was not
    finished in time, for example because it is held; the reason is printed at once. Acceptance by the server does not
    mean that it arrived: bounces are not read.
    """
    asked = target.OrganizationName.parse(organization)
    content: dict[str, Any] = {
        "category": category.value,
        "severity": severity.value,
        "subject": subject,
        "text": text,
    }
    if data:
        content["data"] = _parse_data(data)
    if to:
        content["recipients"] = list(to)
    seconds = target.parse_timeout(timeout).total_seconds()
    key = idempotency_key or f"mailtier-send-{uuid.uuid4()}"
    sent = asyncio.run(_send(choice, asked, content, key=key, seconds=seconds, wait=wait, output=output))
    if wait and not sent.ok:
        raise typer.Exit(failures.Status.FAILED)


async def _send(
    choice: reach.Choice,
    asked: target.OrganizationName,
    content: dict[str, Any],
    *,
    key: str,
    seconds: float,
    wait: bool,
    output: options.Format,
) -> sending.Sent:
    painter, width = terminal.painter(sys.stdout), terminal.line_width(sys.stdout)
    in_text = output is options.Format.TEXT
    said: set[str] = set()

    def show(recipient: dict[str, Any]) -> None:
        if in_text:
            printing.write(f"{line}\n" for line in sending.lines(recipient, painter, width=width, said=said))

    deadline = asyncio.get_running_loop().time() + seconds
    sent: sending.Sent | None = None
    try:
        async with asyncio.timeout_at(deadline), reach.open_intake(choice, asked) as opened:
            sent = await sending.hand_over(
                opened,
                asked,
                content,
                key=key,
                deadline=deadline,
                wait=terminal.note_wait if wait else None,
            )
            if in_text:
                held = [] if wait else sending.held_lines(sent, painter, width=width)
                printing.write(f"{line}\n" for line in (f"{asked}   {sent.id}", *held))
            if wait:
                await sending.follow(opened, sent, show=show)
    except TimeoutError as error:
        raise sending.timed_out(sent, seconds, key=key, said=said) from error
    if not in_text:
        printing.write([f"{sending.as_json(sent)}\n"])
    return sent


def _parse_data(entries: Sequence[str]) -> dict[str, str]:
    found = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{entry!r} is not NAME=VALUE, such as job=nightly-import", param_hint="--data")
        found[name] = value
    return found
