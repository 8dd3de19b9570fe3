"""`mailtier verify`: have the sender probe an SMTP server now, and follow it."""

import asyncio
import sys
from typing import Annotated

import typer

from mailtier.cli import apps, failures, options, printing, terminal
from mailtier.cli.online import probing, reach, target

app = apps.new()


@app.command()
@reach.with_choice
def command(
    *,
    choice: reach.Choice,
    organization: Annotated[
        str, typer.Argument(metavar="[ORGANIZATION]", help="NAMESPACE/NAME; NAMESPACE alone means its default.")
    ] = "",
    host: Annotated[bool, typer.Option("--host", help="The host's own endpoint instead of an organization's.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Try a login once more that the server has refused.")] = False,
    timeout: options.Timeout = options.TIMEOUT,
    output: options.Output = options.Format.TEXT,
) -> None:
    """Probe an SMTP server from where the mail is sent, and print each stage as it completes.

    The sender connects, negotiates TLS, authenticates and offers the sender address; nothing is sent to anybody. It
    exits with 0 when all went well, 1 when a stage failed, and 124 when there was no result in time.

    It reads the Secret anew, and says which version it tried and when. A password that the server has refused is not
    sent again before the Secret or the settings change: what the server said then is told, and that it is no news.
    With --again it is sent once more, for an account that was fixed at the server. A refusal counts: a namespace has
    three an hour at a server. What waits for that login goes on as soon as it succeeds.

    Where there is a fallback (smtp.fallback), it is probed after the first server, as a second probe, and both have to
    be well.

    A namespace has three probes at once, then one a minute: the next is waited for if that fits into --timeout.
    """
    if bool(organization) == host:
        raise typer.BadParameter("name an organization, or use --host, and not both", param_hint="ORGANIZATION")
    asked = None if host else target.OrganizationName.parse(organization)
    report = asyncio.run(
        _verify(choice, asked, seconds=target.parse_timeout(timeout).total_seconds(), again=again, output=output)
    )
    if not report.ok:
        raise typer.Exit(failures.Status.FAILED)


async def _verify(
    choice: reach.Choice,
    asked: target.OrganizationName | None,
    *,
    seconds: float,
    again: bool,
    output: options.Format,
) -> probing.ProbeReport:
    painter, width = terminal.painter(sys.stdout), terminal.line_width(sys.stdout)
    name, run_as = str(asked or "HostEmailSettings default"), str(asked or "--host")
    in_text = output is options.Format.TEXT

    title = [f"{name}\n"]

    def show(line: dict[str, object]) -> None:
        if in_text:
            printing.write([*title, *(f"{each}\n" for each in probing.lines(line, painter, width=width, asked=run_as))])
            # Once there is something to be told of it.
            title.clear()

    def turn(fallback: str) -> None:
        title.append(f"fallback {fallback}\n")

    async with reach.open_intake(choice, asked) as opened:
        report = await probing.follow(
            opened, asked, seconds=seconds, again=again, show=show, wait=terminal.note_wait, turn=turn
        )
    if not in_text:
        printing.write([f"{probing.as_json(name, report)}\n"])
    return report
