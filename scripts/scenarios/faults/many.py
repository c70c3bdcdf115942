"""A crowd that comes at once and stays.

    python3 many.py HOST PORT CLIENTS STAY

Each asks one sum. Whoever is told that the server is full stays connected, too, unless STAY is 0, and
the whole crowd leaves when all have heard something and STAY seconds are over. It prints how many
were served, told (in words, or by a reset) and how many heard nothing in STAY + 30 seconds, and how
long it took then until a new client was served, in milliseconds.
"""

import selectors
import socket
import sys
import time

PATIENCE = 30  # seconds


def main():
    host, port, clients, stay = sys.argv[1], *map(int, sys.argv[2:])
    selector = selectors.DefaultSelector()
    crowd = []
    for _ in range(clients):
        client = socket.create_connection((host, port))
        try:
            client.sendall(b"6 * 7\n")
        except OSError:
            pass
        selector.register(client, selectors.EVENT_READ)
        crowd.append(client)
    counts = {"served": 0, "told": 0, "unheard": clients}
    start = time.monotonic()
    while time.monotonic() < start + stay or counts["unheard"]:
        if time.monotonic() > start + stay + PATIENCE:
            break
        for key, _ in selector.select(0.1):
            selector.unregister(key.fileobj)
            try:
                heard = key.fileobj.recv(1024)
            except ConnectionResetError:
                heard = b""
            counts["served" if heard == b"42\n" else "told"] += 1
            counts["unheard"] -= 1
            if heard and heard != b"42\n" and not heard.startswith(b"busy: "):
                sys.exit(f"heard {heard}")
            if heard != b"42\n" and stay == 0:
                key.fileobj.close()
    for client in crowd:
        client.close()
    left = time.monotonic()
    while True:
        with socket.create_connection((host, port)) as late:
            late.sendall(b"6 * 7\n")
            if late.recv(1024) == b"42\n":
                break
    counts["after"] = f"{1000 * (time.monotonic() - left):.1f} ms"
    print(*(f"{name} {value}" for name, value in counts.items()))


main()
