"""Clients that pipeline while their server is told to stop.

    python3 pipelining.py HOST PORT PID CLIENTS SEED

At a random moment PID gets the signal TERM. Whatever had reached it before (sent, and acknowledged
by its side of the connection) must be answered, right and in order, though everyone goes on sending;
then the connection must end. It prints how many requests there were, and how many of them more than
that were answered.
"""

import fcntl
import os
import random
import selectors
import signal
import socket
import struct
import sys
import termios
import time

TIMEOUT = 20  # seconds until a connection must have ended
AHEAD = 300  # the most requests of one client that are on their way
LINE = 8  # bytes of a request, and of its reply: a number of seven digits is the sum of itself


class Client:
    def __init__(self, address, first):
        self.socket = socket.create_connection(address)
        self.socket.setblocking(False)
        self.first = first
        self.sent = 0  # bytes
        self.unsent = b""
        self.asked = 0
        self.heard = b""
        self.answered = 0
        self.must = 0  # requests that must be answered
        self.failed = False

    def send(self, more):
        """Asks so many more, as far as they fit."""
        for _ in range(more if self.asked - self.answered < AHEAD else 0):
            self.unsent += b"%d\n" % (self.first + self.asked)
            self.asked += 1
        try:
            n = self.socket.send(self.unsent)
        except BlockingIOError:
            n = 0
        except OSError:
            self.failed = True
            return
        self.sent += n
        self.unsent = self.unsent[n:]

    def has_reached(self):
        """How many requests have reached the other side."""
        waiting = fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4)
        return (self.sent - struct.unpack("i", waiting)[0]) // LINE

    def receive(self):
        """Whether there may be more."""
        try:
            more = self.socket.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.heard += more
        while len(self.heard) >= LINE:
            wanted = b"%d\n" % (self.first + self.answered)
            if not self.heard.startswith(wanted):
                sys.exit(f"{self.heard[:30]} instead of {wanted}")
            self.heard = self.heard[LINE:]
            self.answered += 1
        return bool(more)


def main():
    host, port, pid, count, seed = sys.argv[1], *map(int, sys.argv[2:])
    dice = random.Random(seed)
    clients = [Client((host, port), 10**6 + n * 10**4) for n in range(count)]
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    # At least one turn: everyone has asked something.
    turns = dice.randint(1, 12)
    for turn in range(turns):
        for client in clients:
            client.send(dice.randint(1, 60))
            if turn == turns - 1 and client is clients[-1]:
                break
        if turn < turns - 1:
            for key, _ in selector.select(0):
                if not key.data.receive():
                    sys.exit("a connection ended before the stop")
    for client in clients:
        client.must = client.has_reached()
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + TIMEOUT
    left = set(clients)
    while left and time.monotonic() < end:
        for client in left:
            if not client.failed:
                client.send(dice.randint(0, 3))
        for key, _ in selector.select(0.01):
            if not key.data.receive():
                selector.unregister(key.data.socket)
                left.discard(key.data)
                key.data.socket.close()
    if left:
        sys.exit(f"{len(left)} connections did not end")
    lost = [c for c in clients if c.answered < c.must]
    if lost:
        names = ", ".join(f"{c.must - c.answered} of {c.must}" for c in lost[:5])
        sys.exit(f"{len(lost)} clients of {count} were not answered: {names}")
    must = sum(client.must for client in clients)
    print(must, sum(client.answered for client in clients) - must)


main()
