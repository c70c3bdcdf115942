"""The classic select loop in Python, which scripts/measure-models compares with socklab's models.

    select_server.py echo|calc PORT

As it is taught: one set of sockets, one select, one receive for each socket. The calculator is eval,
so the server must not be reachable from other machines.
"""

import select
import socket
import sys

RECEIVE = 64 * 1024


def calc(lines: bytes) -> bytes:
    """The replies to whole lines."""
    return b"".join(b"%s\n" % str(eval(line)).encode() for line in lines.splitlines())


def serve(service: str, port: int) -> None:
    """Serves until it is killed."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    sockets, partial = {listener}, {}
    while True:
        for ready in select.select(sockets, [], [])[0]:
            if ready is listener:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets.add(client)
                continue
            try:
                received = ready.recv(RECEIVE)
            except ConnectionResetError:
                received = b""
            if not received:
                sockets.remove(ready)
                partial.pop(ready, None)
                ready.close()
            elif service == "echo":
                ready.sendall(received)
            else:
                whole, newline, rest = (partial.get(ready, b"") + received).rpartition(b"\n")
                partial[ready] = rest
                ready.sendall(calc(whole + newline))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
