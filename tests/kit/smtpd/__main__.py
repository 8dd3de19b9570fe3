"""The test server as a process of its own, for the demo and for tests that kill the sender."""

import argparse
import asyncio
import collections.abc
import pathlib
import signal
import ssl

from kit import certs, smtpd


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit.smtpd", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; it is printed")
    parser.add_argument("--tls", type=smtpd.Tls, choices=list(smtpd.Tls), default=smtpd.Tls.DISABLED)
    parser.add_argument("--cert", type=pathlib.Path, help="PEM chain, needed with TLS")
    parser.add_argument("--key", type=pathlib.Path, help="PEM key, needed with TLS")
    parser.add_argument("--user", action="append", default=[], help="may be repeated, with a --password each")
    parser.add_argument("--password", action="append", default=[])
    parser.add_argument("--anonymous", action="store_true", help="take mail without AUTH, though it is offered")
    parser.add_argument("--plaintext-auth", action="store_true", help="take AUTH without TLS")
    parser.add_argument("--max-connections", type=int, help="greet further ones with 421")
    parser.add_argument("--hostname", default="smtp.test")
    parser.add_argument("--without", action="append", default=[], help="an extension that is not offered")
    parser.add_argument("--script", type=pathlib.Path, help="JSON list of rules, as Script.from_json reads it")
    parser.add_argument("--transcript", type=pathlib.Path, help="file for what is said, as JSON lines")
    parser.add_argument("--messages", type=pathlib.Path, help="file for the messages taken, as JSON lines")
    return parser


def _options(arguments: argparse.Namespace) -> smtpd.Options:
    context: ssl.SSLContext | None = None
    if arguments.tls is not smtpd.Tls.DISABLED:
        context = certs.Leaf(cert_path=arguments.cert, key_path=arguments.key).server_context()
    return smtpd.Options(
        tls=arguments.tls,
        context=context,
        users=dict(zip(arguments.user, arguments.password, strict=True)),
        require_auth=not arguments.anonymous,
        plaintext_auth=arguments.plaintext_auth,
        max_connections=arguments.max_connections,
        hostname=arguments.hostname,
        extensions=smtpd.Options().extensions - set(arguments.without),
    )


async def _serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    script = arguments.script
    server = smtpd.Server(
        _options(arguments),
        rules=smtpd.Script.from_json(script.read_text(encoding="utf-8")) if script else None,
        recorder=smtpd.Recorder(keep=False, message_log=arguments.messages, transcript_log=arguments.transcript),
        host=arguments.host,
        port=arguments.port,
    )
    async with server:
        print(f"listening on {server.host}:{server.port}", flush=True)
        await ended.wait()


def _main(argv: collections.abc.Sequence[str] | None = None) -> None:
    asyncio.run(_serve(_parser().parse_args(argv)))


if __name__ == "__main__":
    _main()
