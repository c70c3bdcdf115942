"""Clients that pipeline requests while their server is told to stop.

    python3 pipelining.py HOST PORT PID CLIENTS SEED

At a random moment PID gets the signal TERM. Every request that had reached it by then (sent, and
acknowledged by its side of the connection) must be answered, right and in order, although the clients
go on sending; then the connections must end. Prints the number of these requests, and how many later
ones were answered.
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
MAX_IN_FLIGHT = 300  # requests of one client
LINE = 8  # bytes of a request, and of its reply: the value of a number of seven digits is the number


class Client:
    def __init__(self, address, first):
        self.socket = socket.create_connection(address)
        self.socket.setblocking(False)
        self.first = first
        self.sent = 0  # bytes
        self.unsent = b""
        self.asked = 0
        self.received = b""
        self.answered = 0
        self.owed = 0  # requests that must be answered
        self.failed = False

    def send(self, more):
        """Sends `more` requests, as far as the limit and the socket permit."""
        for _ in range(more if self.asked - self.answered < MAX_IN_FLIGHT else 0):
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

    def arrived(self):
        """The number of requests that have reached the server."""
        waiting = fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4)
        return (self.sent - struct.unpack("i", waiting)[0]) // LINE

    def receive(self):
        """Reads replies. Returns false at the end of input."""
        try:
            more = self.socket.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.received += more
        while len(self.received) >= LINE:
            expected = b"%d\n" % (self.first + self.answered)
            if not self.received.startswith(expected):
                sys.exit(f"{self.received[:30]} instead of {expected}")
            self.received = self.received[LINE:]
            self.answered += 1
        return bool(more)


def main():
    host, port, pid, count, seed = sys.argv[1], *map(int, sys.argv[2:])
    rng = random.Random(seed)
    clients = [Client((host, port), 10**6 + n * 10**4) for n in range(count)]
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    # In at least one round, so that each client has sent something.
    rounds = rng.randint(1, 12)
    for n in range(rounds):
        for client in clients:
            client.send(rng.randint(1, 60))
        if n < rounds - 1:
            for key, _ in selector.select(0):
                if not key.data.receive():
                    sys.exit("a connection ended before the stop")
    for client in clients:
        client.owed = client.arrived()
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + TIMEOUT
    left = set(clients)
    while left and time.monotonic() < end:
        for client in left:
            if not client.failed:
                client.send(rng.randint(0, 3))
        for key, _ in selector.select(0.01):
            if not key.data.receive():
                selector.unregister(key.data.socket)
                left.discard(key.data)
                key.data.socket.close()
    if left:
        sys.exit(f"{len(left)} connections did not end")
    failed = [c for c in clients if c.answered < c.owed]
    if failed:
        missing = ", ".join(f"{c.owed - c.answered} of {c.owed}" for c in failed[:5])
        sys.exit(f"replies are missing for {len(failed)} clients of {count}: {missing}")
    owed = sum(client.owed for client in clients)
    print(owed, sum(client.answered for client in clients) - owed)


main()
