"""`mailtier top`: what is queued and delivered, and how fast, live."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from mailtier.cli import apps, display, options, printing, terminal

if TYPE_CHECKING:
    from mailtier.cli.online.measuring import activity

app = apps.new()


@app.command()
def command(
    *,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print what was found, and end.")] = False,
    interval: Annotated[str, typer.Option(help="How long from one look to the next.")] = "2s",
    output: options.Output = options.Format.TEXT,
    operator_namespace: options.OperatorNamespace = options.OPERATOR_NAMESPACE,
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show what is queued and delivered, how fast, and whose it is, until Ctrl-C.

    Above are the figures of all senders: recipients by state and the age of the oldest; how much a second is taken,
    delivered and failed; what attempts meet; servers by the state of their breaker, and open sessions; and what keeps
    messages back. Below are the organizations with a backlog, the largest first, in magnitudes, as of the last half
    minute (status.queue).
    In a pipe it prints once, as with --once. With -o json it prints a line of JSON a look, or one with --once.
    The pods are asked through a port-forward; it changes nothing.
    """
    # The kubernetes package takes a quarter of a second to import, which --help shall not.
    from mailtier.cli.online import cluster, target  # noqa: PLC0415 - As above.
    from mailtier.cli.online.measuring import following  # noqa: PLC0415 - As above.

    seconds = target.parse_timeout(interval, option="--interval").total_seconds()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            api = await stack.enter_async_context(cluster.connect(context=context, kubeconfig=kubeconfig))
            found = following.activities(api, namespace=operator_namespace, seconds=seconds, monotonic=time.monotonic)
            activities = await stack.enter_async_context(contextlib.aclosing(found))
            # The first look has no rates.
            first = await anext(activities)
            show, is_live = _shower(stack, output, once=once)
            if is_live:
                show(first)
            async for each in activities:
                if not show(each) or once or not is_live:
                    return

    asyncio.run(run())


def _shower(
    stack: contextlib.AsyncExitStack, output: options.Format, *, once: bool
) -> "tuple[Callable[[activity.Activity], bool], bool]":
    """Return what shows what is under way and says whether somebody still reads it, and whether that goes on."""
    if output is options.Format.JSON:
        return _print_json, not once
    if once or not sys.stdout.isatty():
        return _print_text, False
    draw = stack.enter_context(display.drawing())

    def show(found: "activity.Activity") -> bool:
        draw(_lines(found))
        return True

    return show, True


def _print_json(found: "activity.Activity") -> bool:
    from mailtier.cli.online.measuring import showing  # noqa: PLC0415 - As in `command`.

    return printing.write([f"{json.dumps(showing.document(found), ensure_ascii=False)}\n"])


def _print_text(found: "activity.Activity") -> bool:
    return printing.write([f"{line}\n" for line in _lines(found)])


def _lines(found: "activity.Activity") -> list[str]:
    from mailtier.cli.online.measuring import showing  # noqa: PLC0415 - As in `command`.

    return showing.text(
        found, now=terminal.now(), painter=terminal.painter(sys.stdout), width=terminal.width(sys.stdout)
    )
