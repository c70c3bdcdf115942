"""A readiness loop under a library: each client has a coroutine, and where it says `await` the loop
of asyncio serves the others. One thread waits in epoll for all of them.

    python3 asyncio_loop.py HOST PORT
"""

import asyncio

import calculator


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves one client until it leaves."""
    lines = calculator.Lines()
    try:
        received = b"?"
        while received:
            received = await reader.read(calculator.RECEIVE_SIZE)
            writer.write(lines.answers(received))
            await writer.drain()  # until the client has taken most of it
    except OSError:  # it has left
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serves until SIGTERM."""
    server = await asyncio.start_server(talk, sock=calculator.listen())
    await server.serve_forever()


asyncio.run(main())
