"""A slow proxy that cuts the stream at random.

    python3 slow-link.py HOST PORT DELAY [SEED]

Listens on a free port of 127.0.0.1, prints the port, and forwards both directions of each connection
to HOST PORT: in pieces, in order, each piece DELAY milliseconds late, and so is the end of input.
"""

import asyncio
import random
import sys


async def carry(reader, writer, delay, rng):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    async def deliver():
        while True:
            due, piece = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    deliverer = loop.create_task(deliver())
    while True:
        bytes_ = await reader.read(65536)
        due = loop.time() + delay
        while bytes_:
            n = rng.randint(1, max(1, len(bytes_) // 2))
            queue.put_nowait((due, bytes_[:n]))
            bytes_ = bytes_[n:]
            # Apart in time, so that TCP does not join the pieces again.
            due += rng.random() / 1000
        if reader.at_eof():
            queue.put_nowait((due, b""))
            break
    await deliverer


async def main():
    host, port, delay = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) / 1000
    rng = random.Random(sys.argv[4] if len(sys.argv) > 4 else "1")

    async def meet(reader, writer):
        try:
            there, to_there = await asyncio.open_connection(host, port)
            await asyncio.gather(
                carry(reader, to_there, delay, rng), carry(there, writer, delay, rng)
            )
            to_there.close()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
