"""A polite client, alone and then among attackers.

    python3 attack.py HOST PORT KIND ATTACKERS SECONDS [alone]

KIND is one of

    reset      connections that are reset as soon as they are there; ATTACKERS is how many in all
    drip       slowloris: a line that comes byte by byte and never ends
    deaf       many requests with long replies, which are never read
    noise      random bytes
    mixed      some of each

and a connection that the server ends is made again, for SECONDS, or until all resets are done. The
polite client asks one sum after the other, and is joined by newcomers (not if it is to be `alone`)
who ask one and leave. Every answer must be right. It prints how many there were, the time that 99 of
100 answers took at most before the attack and during it, in milliseconds, and what the attackers did.
"""

import os
import random
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time

QUIET = 0.3  # seconds that the polite client is alone at first, a fifth of a longer attack
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close that resets
TURN = 0.1  # seconds between two acts of one attacker
TIMEOUT = 20  # seconds


class Attacker:
    """A connection that is made again whenever it ends."""

    def __init__(self, kind, address, selector, dice):
        self.kind, self.address, self.selector, self.dice = kind, address, selector, dice
        self.made = 0
        self.connect()

    def connect(self):
        self.socket = socket.socket()
        if self.kind == "deaf":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.setblocking(False)
        self.socket.connect_ex(self.address)
        self.made += 1
        self.begun = False
        if self.kind != "deaf":
            self.selector.register(self.socket, selectors.EVENT_READ, self)

    def again(self):
        if self.kind != "deaf":
            self.selector.unregister(self.socket)
        self.socket.close()
        self.connect()

    def act(self):
        text = {
            # A line first, so that no gap between two bytes is the end of a message.
            "drip": lambda: b"1" if self.begun else b"1\n",
            "deaf": lambda: b"hex(1<<16000)\n" * 600,
            "noise": lambda: os.urandom(self.dice.randint(1, 2000)),
        }[self.kind]()
        try:
            self.socket.send(text)
            self.begun = True
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.again()

    def hear(self):
        try:
            if self.socket.recv(65536):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.again()


def reset(address, connections, dice):
    for n in range(connections):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                client.connect(address)
                text = dice.choice([b"", b"", b"1 + ", b"1 + 2\n" * 20])
                if text:
                    client.send(text)
            except (ConnectionResetError, BrokenPipeError):
                pass
            except OSError as error:
                sys.exit(f"{n} connections reset, then {error}")
    print(f"{connections} reset", end=" ")


def attack(kind, address, attackers):
    """Until SIGTERM."""
    dice = random.Random(kind)
    if kind == "reset":
        reset(address, attackers, dice)
        return
    selector = selectors.DefaultSelector()
    crowd = [Attacker(kind, address, selector, dice) for _ in range(attackers)]
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    while not over:
        until = time.monotonic() + TURN
        for attacker in crowd:
            attacker.act()
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                key.data.hear()
    print(f"{sum(attacker.made for attacker in crowd)} {kind}", end=" ")


class Polite:
    def __init__(self, address):
        self.address = address
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.dice = random.Random(1)
        self.answers = self.newcomers = 0

    def ask(self, server):
        a, b = self.dice.randint(0, 10**9), self.dice.randint(0, 10**9)
        server.sendall(f"{a} * {b}\n".encode())
        wanted = f"{a * b}\n".encode()
        heard = b""
        while len(heard) < len(wanted):
            more = server.recv(1024)
            if not more:
                break
            heard += more
        if heard != wanted:
            sys.exit(f"{heard} instead of {wanted}, after {self.answers} answers")
        self.answers += 1

    def newcomer(self):
        with socket.create_connection(self.address, timeout=TIMEOUT) as server:
            self.ask(server)
        self.newcomers += 1

    def go_on(self, is_over, alone):
        """The time in which 99 of 100 answers came, in milliseconds."""
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
    host, port, kind, attackers, seconds = sys.argv[1:6]
    address, attackers, seconds = (host, int(port)), int(attackers), float(seconds)
    if "attack" in sys.argv:
        attack(kind, address, attackers)
        return
    alone = "alone" in sys.argv
    polite = Polite(address)
    quiet = polite.go_on(after(max(QUIET, seconds / 5)), alone)
    kinds = ["reset", "drip", "deaf", "noise"] if kind == "mixed" else [kind]
    share = str(attackers // len(kinds))
    # They are not to take from the polite client the processor that it needs for itself.
    crowd = [
        subprocess.Popen(["nice", "-n", "10", sys.executable, __file__, host, port, kind]
                         + [share, "0", "attack"], stdout=subprocess.PIPE, text=True)
        for kind in kinds
    ]
    if kind == "reset":
        over = lambda: all(process.poll() is not None for process in crowd)
    else:
        over = after(seconds)
    besieged = polite.go_on(over, alone)
    for process in crowd:
        process.terminate()
    done = "".join(process.communicate()[0] for process in crowd)
    if any(process.returncode > 0 for process in crowd):
        sys.exit("an attacker failed")
    print(f"p99 {quiet:.2f} {besieged:.2f} ms, {polite.answers} answers,"
          f" {polite.newcomers} newcomers, attackers: {done}")


main()
