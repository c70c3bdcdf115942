"""Clients that keep a server from ending, and the signal that ends it.

    python3 blockers.py HOST PORT PROCESS SERVICE SIGNALS SEED

Clients of calc send requests that take long, and others never read their long replies; clients of the
quiz end games without reading. Clients connect without end. At a random moment PROCESS gets SIGTERM,
SIGNALS times. Prints the time from the last signal to its end, in milliseconds.
"""

import os
import random
import select
import signal
import socket
import sys
import threading
import time

CLIENTS = 12  # of each kind
CONNECTING = 2  # threads that connect without end
TIMEOUT = 60  # seconds until the server must have ended
TEXTS = {
    "calc": [
        b"max((1<<262143,)*10000)\n" * 40,
        b"bin((1<<65000))," * 255 + b"\n",
        b"hex(1<<16000)\n" * 600,
        b"1 + ",
    ],
    "quiz": [b"yes\nBob\n" + b"1\n" * 10, b"yes\nAnn\n"],
}


def connect(address, text):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    client.connect_ex(address)
    # With a socket that never waits, what is sent later is what the server has room for.
    select.select([], [client], [], 1)
    try:
        client.send(text)
    except OSError:
        pass
    return client


def connect_without_end(address, rng, texts):
    while True:
        client = connect(address, rng.choice(texts))
        # Some leave at once, and the others when they are many.
        if rng.random() < 0.5:
            client.close()
        else:
            kept.append(client)
            if len(kept) > 200:
                kept.pop(0).close()


kept = []


def is_pending(process):
    """True if the process has been sent SIGTERM and has not had a turn since: another one would be
    the same to it (signal(7))."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii") as status:
            masks = [line.split()[1] for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    except OSError:
        return False
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def main():
    host, port, process, service, signals, seed = sys.argv[1:7]
    address, process, rng = (host, int(port)), int(process), random.Random(seed)
    texts = TEXTS[service]
    clients = [connect(address, text) for text in texts * CLIENTS]
    for n in range(CONNECTING):
        arguments = (address, random.Random(f"{seed} {n}"), texts)
        threading.Thread(target=connect_without_end, args=arguments, daemon=True).start()
    end = os.pidfd_open(process)
    time.sleep(rng.uniform(0.05, 0.3))
    for n in range(int(signals)):
        if n > 0:
            time.sleep(rng.uniform(0.01, 0.3))
            while is_pending(process):
                time.sleep(0.001)
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:
            break  # the first signal has ended it
        begun = time.monotonic()
    if not select.select([end], [], [], TIMEOUT)[0]:
        sys.exit(f"not in {TIMEOUT} s")
    print(round(1000 * (time.monotonic() - begun)), len(clients))
    sys.stdout.flush()
    os._exit(0)  # without a wait for the threads


main()
