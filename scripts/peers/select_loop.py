"""A readiness loop: one thread waits in select for all clients, and never for a single one. The
sockets do not block, and what a client does not take yet is kept for it.

    python3 select_loop.py HOST PORT
"""

import select
import socket

import calculator

lines: dict[socket.socket, calculator.Lines] = {}  # of every client whose input has not ended
unsent: dict[socket.socket, bytes] = {}  # of every client
listener = calculator.listen()
listener.setblocking(False)
while True:
    # Whoever does not take its answers is not read either.
    reading = [client for client in lines if not unsent[client]]
    writing = [client for client in unsent if unsent[client]]
    readable, writable, _ = select.select([listener, *reading], writing, [])
    for ready in readable + writable:
        try:
            if ready is listener:
                client, _ = listener.accept()
                client.setblocking(False)
                lines[client], unsent[client] = calculator.Lines(), b""
                continue
            if ready in readable:
                received = ready.recv(calculator.RECEIVE_SIZE)
                unsent[ready] = lines[ready].answers(received)
                if not received:
                    del lines[ready]  # the end of input is not the end of output
            unsent[ready] = unsent[ready][ready.send(unsent[ready]) :]
            leaves = ready not in lines and not unsent[ready]
        except OSError as error:  # no room to send, or a reset
            leaves = not isinstance(error, BlockingIOError)
        if leaves:
            lines.pop(ready, None)
            del unsent[ready]
            ready.close()
