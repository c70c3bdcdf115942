"""Many clients that connect at the same time and stay.

    python3 many.py HOST PORT CLIENTS STAY

Each asks for one sum. A client that is told that the server is full stays connected as well, unless
STAY is 0. All clients leave when each has received something and STAY seconds have passed. Prints how
many were served, how many were rejected (by the busy line or by a reset), how many received nothing in
STAY + 30 seconds, and the time until a new client was served after that, in milliseconds.
"""

import selectors
import socket
import sys
import time

PATIENCE = 30  # seconds


def main():
    host, port, count, stay = sys.argv[1], *map(int, sys.argv[2:])
    selector = selectors.DefaultSelector()
    clients = []
    for _ in range(count):
        client = socket.create_connection((host, port))
        try:
            client.sendall(b"6 * 7\n")
        except OSError:
            pass
        selector.register(client, selectors.EVENT_READ)
        clients.append(client)
    counts = {"served": 0, "rejected": 0, "unanswered": count}
    start = time.monotonic()
    while time.monotonic() < start + stay or counts["unanswered"]:
        if time.monotonic() > start + stay + PATIENCE:
            break
        for key, _ in selector.select(0.1):
            selector.unregister(key.fileobj)
            try:
                received = key.fileobj.recv(1024)
            except ConnectionResetError:
                received = b""
            counts["served" if received == b"42\n" else "rejected"] += 1
            counts["unanswered"] -= 1
            if received and received != b"42\n" and not received.startswith(b"busy: "):
                sys.exit(f"received {received}")
            if received != b"42\n" and stay == 0:
                key.fileobj.close()
    for client in clients:
        client.close()
    left = time.monotonic()
    while True:
        with socket.create_connection((host, port)) as late:
            late.sendall(b"6 * 7\n")
            if late.recv(1024) == b"42\n":
                break
    counts["recovery"] = f"{1000 * (time.monotonic() - left):.1f} ms"
    print(*(f"{name} {value}" for name, value in counts.items()))


main()
