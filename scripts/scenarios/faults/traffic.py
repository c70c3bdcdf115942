"""Mixed traffic: as many requests as asked for, in all manners.

    python3 traffic.py HOST PORT REQUESTS SEED [single-file]

Long conversations with thousands of lines at a time, short ones with one, clients that half-close,
that reset in the middle of a reply, that send garbage, half a line or a line without an end, and
some that only connect. Every reply that is read is compared. The last line it prints says how many
lines were answered and how many connections there were.
"""

import os
import random
import socket
import struct
import sys
import threading

TIMEOUT = 30  # seconds
RESET = struct.pack("ii", 1, 0)
AT_ONCE = 8
BUSY = b"busy: the server is full, try again later\n"

lock = threading.Lock()
answered = connections = 0
failures = []


def batch(dice, lines):
    a = dice.randint(0, 10**6)
    return (b"%d + 1\n" % a) * lines, (b"%d\n" % (a + 1)) * lines


def take(client, wanted):
    heard = bytearray()
    while len(heard) < len(wanted):
        more = client.recv(1 << 18)
        if not more:
            raise AssertionError(f"the end after {len(heard)} of {len(wanted)} bytes")
        heard += more
    if heard != wanted:
        raise AssertionError("a wrong reply")


def talk(client, dice, batches, lines):
    for _ in range(batches):
        asked, told = batch(dice, lines)
        client.sendall(asked)
        take(client, told)
    return batches * lines


def long(client, dice):
    return talk(client, dice, 10, 1000)


def short(client, dice):
    return talk(client, dice, 1, 1)


def half_closing(client, dice):
    asked, told = batch(dice, dice.randint(1, 3000))
    client.sendall(asked)
    client.shutdown(socket.SHUT_WR)
    take(client, told)
    if client.recv(1):
        raise AssertionError("more than the replies")
    return told.count(b"\n")


def resetting(client, dice):
    client.sendall(batch(dice, 2000)[0])
    client.recv(100)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return 0


def garbage(client, dice):
    try:
        client.sendall(os.urandom(dice.randint(1, 20000)))
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    except (ConnectionResetError, BrokenPipeError, OSError):
        pass
    return 0


def half_a_line(client, _):
    client.sendall(b"1 + ")
    return 0


def silent(_, __):
    return 0


MANNERS = [long, short, short, half_closing, resetting, garbage, half_a_line, silent]


def visit(address, requests, seed):
    global answered, connections
    dice = random.Random(seed)
    while answered < requests and not failures:
        manner = dice.choice(MANNERS)
        try:
            with socket.create_connection(address, timeout=TIMEOUT) as client:
                n = manner(client, dice)
        except (AssertionError, OSError) as error:
            failures.append(f"{manner.__name__}: {error!r}")
            return
        with lock:
            answered += n
            connections += 1


def main():
    host, port, requests, seed = sys.argv[1], *map(int, sys.argv[2:5])
    at_once = 1 if "single-file" in sys.argv else AT_ONCE
    crowd = [
        threading.Thread(target=visit, args=((host, port), requests, f"{seed} {n}"))
        for n in range(at_once)
    ]
    for client in crowd:
        client.start()
    for client in crowd:
        client.join()
    print(f"answered {answered} connections {connections}")
    sys.exit("\n".join(failures) or 0)


main()
