"""Mixed traffic from clients of many kinds.

    python3 traffic.py HOST PORT REQUESTS SEED [alone]

Long conversations with thousands of lines in flight, short ones with one, clients that half-close,
that reset in the middle of a reply, that send random bytes or half a line, and clients that only
connect, until REQUESTS lines are answered; one client at a time if `alone`. Every reply that is read
is compared. The last line of the output has the number of lines that were answered, and of connections.
"""

import os
import random
import socket
import struct
import sys
import threading

TIMEOUT = 30  # seconds
RESET = struct.pack("ii", 1, 0)
THREADS = 8

lock = threading.Lock()
answered = connections = 0
failures = []


def batch(rng, lines):
    a = rng.randint(0, 10**6)
    return (b"%d + 1\n" % a) * lines, (b"%d\n" % (a + 1)) * lines


def expect(client, replies):
    received = bytearray()
    while len(received) < len(replies):
        more = client.recv(1 << 18)
        if not more:
            raise AssertionError(f"end of input after {len(received)} of {len(replies)} bytes")
        received += more
    if received != replies:
        raise AssertionError("a wrong reply")


def talk(client, rng, batches, lines):
    for _ in range(batches):
        requests, replies = batch(rng, lines)
        client.sendall(requests)
        expect(client, replies)
    return batches * lines


def long(client, rng):
    return talk(client, rng, 10, 1000)


def short(client, rng):
    return talk(client, rng, 1, 1)


def half_closing(client, rng):
    requests, replies = batch(rng, rng.randint(1, 3000))
    client.sendall(requests)
    client.shutdown(socket.SHUT_WR)
    expect(client, replies)
    if client.recv(1):
        raise AssertionError("more than the replies")
    return replies.count(b"\n")


def resetting(client, rng):
    client.sendall(batch(rng, 2000)[0])
    client.recv(100)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return 0


def random_bytes(client, rng):
    try:
        client.sendall(os.urandom(rng.randint(1, 20000)))
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    except OSError:
        pass
    return 0


def half_a_line(client, _):
    client.sendall(b"1 + ")
    return 0


def silent(_, __):
    return 0


KINDS = [long, short, short, half_closing, resetting, random_bytes, half_a_line, silent]


def connect(address, requests, seed):
    """Opens one connection after the other."""
    global answered, connections
    rng = random.Random(seed)
    while answered < requests and not failures:
        kind = rng.choice(KINDS)
        try:
            with socket.create_connection(address, timeout=TIMEOUT) as client:
                n = kind(client, rng)
        except (AssertionError, OSError) as error:
            failures.append(f"{kind.__name__}: {error!r}")
            return
        with lock:
            answered += n
            connections += 1


def main():
    host, port, requests, seed = sys.argv[1], *map(int, sys.argv[2:5])
    threads = [
        threading.Thread(target=connect, args=((host, port), requests, f"{seed} {n}"))
        for n in range(1 if "alone" in sys.argv else THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"answered {answered} connections {connections}")
    sys.exit("\n".join(failures) or 0)


main()
