"""A client that behaves well (the probe), first without attackers and then with them.

    python3 attack.py HOST PORT KIND ATTACKERS SECONDS [alone]

KIND is one of

    reset      connections that are reset as soon as they are open; ATTACKERS is their number in all
    drip       slowloris: a line that arrives byte by byte and never ends
    unread     many requests with long replies, which are never read
    noise      random bytes
    mixed      some of each of these
    strings    the largest strings that one request may make, and the next when it is answered
    compare    400 of the longest comparisons at a time
    power      20 times the powers that take longest
    light      requests that cost little, as many as the server takes
    large      replies of the largest size, which are never read

Except for resets, a connection that the server ends is opened again. The attack lasts SECONDS, and
longer on a slow machine: until all resets are done, and the server has ended a connection of the
kinds drip and unread. The probe sends one sum after the other; unless it is `alone`, newcomers open
connections of their own, ask for one sum and leave. Every reply must be right. Prints the 99th
percentile of the reply times before the attack and during it, in milliseconds, the number of replies,
and the number of connections of the attackers.
"""

import os
import random
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

QUIET = 0.3  # seconds before the attack, or a fifth of SECONDS if that is longer
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close that resets
PERIOD = 0.1  # seconds between two sends of one attacker
TIMEOUT = 20  # seconds
# The kinds whose attackers print DONE when they have had what an attack needs.
AWAITED = ("reset", "drip", "unread")
DONE = "done"
# What a client that reads sends again whenever everything is answered.
ROUNDS = {
    "strings": b"bin((1<<65000))," * 255 + b"\n",
    "compare": b"max((1<<262143,)*10000)\n" * 400,
    "power": (b"pow(3,(1<<7052)-1,(1<<392)//3)," * 30 + b"\n") * 20,
    "light": b"1 + 2\n" * 20_000,
}
# What a client that does not read sends all the time.
UNREAD = {"unread": b"hex(1<<16000)\n" * 600, "large": b"bin(1<<65000)\n" * 600}


class Attacker:
    """A connection that is opened again whenever it ends."""

    def __init__(self, kind, address, selector, rng):
        self.kind, self.address, self.selector, self.rng = kind, address, selector, rng
        self.connections = 0
        self.connect()

    def connect(self):
        self.socket = socket.socket()
        if self.kind in UNREAD:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.setblocking(False)
        self.socket.connect_ex(self.address)
        self.connections += 1
        self.has_sent = False
        self.unsent, self.unanswered = b"", 0
        if self.kind not in UNREAD:
            self.selector.register(self.socket, selectors.EVENT_READ, self)

    def reconnect(self):
        if self.kind not in UNREAD:
            self.selector.unregister(self.socket)
        self.socket.close()
        self.connect()

    def text(self):
        """What to send now."""
        if self.kind == "drip":
            # After a whole line a gap between two bytes does not end a message.
            return b"1" if self.has_sent else b"1\n"
        if self.kind == "noise":
            return os.urandom(self.rng.randint(1, 2000))
        if self.kind in UNREAD:
            return UNREAD[self.kind]
        if self.unanswered == 0:
            self.unsent = ROUNDS[self.kind]
            self.unanswered = self.unsent.count(b"\n")
        return self.unsent

    def send(self):
        try:
            sent = self.socket.send(self.text())
            self.unsent = self.unsent[sent:]
            self.has_sent = True
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.reconnect()

    def receive(self):
        try:
            if received := self.socket.recv(65536):
                self.unanswered -= received.count(b"\n")
                if self.kind in ROUNDS:
                    self.send()
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.reconnect()


def reset(address, connections, rng):
    for n in range(connections):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                client.connect(address)
                text = rng.choice([b"", b"", b"1 + ", b"1 + 2\n" * 20])
                if text:
                    client.send(text)
            except (ConnectionResetError, BrokenPipeError):
                pass
            except OSError as error:
                sys.exit(f"{n} connections reset, then {error}")
    print(f"{DONE}\n{connections} reset", end=" ")


def attack(kind, address, count):
    """Attacks until SIGTERM."""
    rng = random.Random(kind)
    if kind == "reset":
        reset(address, count, rng)
        return
    selector = selectors.DefaultSelector()
    attackers = [Attacker(kind, address, selector, rng) for _ in range(count)]
    stopped, done = [], False
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        until = time.monotonic() + PERIOD
        for attacker in attackers:
            attacker.send()
        if not done and any(attacker.connections > 1 for attacker in attackers):
            done = True
            print(DONE, flush=True)
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                key.data.receive()
    print(f"{sum(attacker.connections for attacker in attackers)} {kind}", end=" ")


class Probe:
    def __init__(self, address):
        self.address = address
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rng = random.Random(1)
        self.replies = self.newcomers = 0

    def ask(self, server):
        a, b = self.rng.randint(0, 10**9), self.rng.randint(0, 10**9)
        server.sendall(f"{a} * {b}\n".encode())
        expected = f"{a * b}\n".encode()
        received = b""
        while len(received) < len(expected):
            more = server.recv(1024)
            if not more:
                break
            received += more
        if received != expected:
            sys.exit(f"{received} instead of {expected}, after {self.replies} replies")
        self.replies += 1

    def newcomer(self):
        with socket.create_connection(self.address, timeout=TIMEOUT) as server:
            self.ask(server)
        self.newcomers += 1

    def run(self, is_over, alone):
        """Asks until `is_over`. Returns the 99th percentile of the reply times, in milliseconds."""
        times = []
        while not is_over() or len(times) < 20:
            begun = time.perf_counter()
            self.ask(self.socket)
            times.append(time.perf_counter() - begun)
            time.sleep(0.001)
            if not alone and len(times) % 20 == 0:
                self.newcomer()
        return 1000 * sorted(times)[len(times) * 99 // 100]


def after(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def main():
    host, port, kind, count, seconds = sys.argv[1:6]
    address, count, seconds = (host, int(port)), int(count), float(seconds)
    if "attack" in sys.argv:
        attack(kind, address, count)
        return
    alone = "alone" in sys.argv
    probe = Probe(address)
    quiet = probe.run(after(max(QUIET, seconds / 5)), alone)
    kinds = ["reset", "drip", "unread", "noise"] if kind == "mixed" else [kind]
    share = str(count // len(kinds))
    # The attackers must not take the processor from the probe itself.
    attackers = [
        subprocess.Popen(["nice", "-n", "10", sys.executable, __file__, host, port, kind]
                         + [share, "0", "attack"], stdout=subprocess.PIPE, text=True)
        for kind in kinds
    ]
    awaited = set() if alone else set(kinds) & set(AWAITED)
    connections = []

    def listen(its_kind, process):
        for line in map(str.strip, process.stdout):
            if line == DONE:
                awaited.discard(its_kind)
            else:
                connections.append(line)

    threads = [threading.Thread(target=listen, args=pair) for pair in zip(kinds, attackers)]
    for thread in threads:
        thread.start()
    is_long_enough = after(0 if kind == "reset" else seconds)
    is_too_long = after(float("inf") if kind == "reset" else seconds + TIMEOUT)

    is_over = lambda: is_long_enough() and (not awaited or is_too_long())
    attacked = probe.run(is_over, alone)
    for process in attackers:
        process.terminate()
    for thread in threads:
        thread.join()
    if any(process.wait() > 0 for process in attackers):
        sys.exit("an attacker failed")
    print(f"p99 {quiet:.2f} {attacked:.2f} ms, {probe.replies} replies,"
          f" {probe.newcomers} newcomers, attackers: {', '.join(connections)}")


main()
