"""Stands between senders and their database, and may lose or keep back what it answers to a commit."""

import asyncio
import contextlib
import typing

from kit import postgres


class LossyDatabase:
    """Hands on what comes over TCP to a database of the tests' server; at work while its context is entered.

    Attributes:
        dsn: Where it is asked for the database.
        losing: So many commits from now on are not answered: the connection is lost instead.
        withholding: While set, nothing that the database says after a commit is handed on to those who have this name
            (`application_name`).
    """

    def __init__(self, dsn: str) -> None:
        self.losing = 0
        self.withholding = ""
        self._name = postgres.name_of(dsn)
        self._socket = f"{postgres.shared().folder}/.s.PGSQL.{postgres.PORT}"
        self._stack = contextlib.AsyncExitStack()
        self.dsn = ""

    async def __aenter__(self) -> typing.Self:
        server = await self._stack.enter_async_context(await asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        self.dsn = f"postgresql://{postgres.USER}@127.0.0.1:{port}/{self._name}?sslmode=disable"
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._socket)
        answers = asyncio.ensure_future(self._hand_on(from_server, writer))
        name: bytes | None = None
        try:
            while content := await reader.read(65_536):
                # What a connection begins with says whose it is.
                name = content.partition(b"application_name\0")[2].partition(b"\0")[0] if name is None else name
                is_withheld = bool(self.withholding) and name == self.withholding.encode()
                is_lost = b"COMMIT\0" in content and (is_withheld or self.losing > 0)
                if is_lost:
                    answers.cancel()
                    await asyncio.wait([answers])
                to_server.write(content)
                await to_server.drain()
                if not is_lost:
                    continue
                # It is committed now, and nobody hears of it.
                await from_server.read(1)
                if not is_withheld:
                    self.losing -= 1
                    return
        except ConnectionError:
            # Whoever asked was killed.
            return
        finally:
            answers.cancel()
            writer.close()
            to_server.close()

    @staticmethod
    async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while content := await reader.read(65_536):
                writer.write(content)
                await writer.drain()
