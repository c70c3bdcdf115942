"""Clients of every shape (shapes.py) at a server that is halted at random moments.

    python3 halts.py HOST PORT PROCESS HALTS LONGEST SEED [one-by-one]

The process group of PROCESS gets SIGSTOP, and SIGCONT after 10 to LONGEST ms, HALTS times. Meanwhile
each client connects, asks calc eight questions, and begins again; one client at a time if
`one-by-one`. A missing, wrong or split reply is a failure, and so is the end of a connection. Prints
the number of halts, their time in ms, the number of conversations, and of those that do not count
because the machine delayed the client.
"""

import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import shapes

shapes.TIMEOUT = 60  # seconds: longer than several halts
SHORTEST = 10  # ms, of a halt
RUNNING = 100  # ms at most between two halts


def main():
    host, port, process, halts, longest, seed = sys.argv[1], *map(int, sys.argv[2:7])
    rng = random.Random(seed)
    counts = {"right": 0, "late": 0}
    failures = []
    over = threading.Event()
    lock = threading.Lock()

    def talk(names):
        while not over.is_set():
            for name in names:
                client = None
                try:
                    client = shapes.Client(name, (host, port))
                    shapes.converse(client, "calc", [])
                except Exception as error:
                    if client is None or not client.was_late:
                        failures.append(f"{name}: {error!r}")
                        over.set()
                        break
                with lock:
                    counts["late" if client.was_late else "right"] += 1
                if over.is_set():
                    break

    names = list(shapes.SHAPES)
    groups = [names] if "one-by-one" in sys.argv else [[name] for name in names]
    threads = [threading.Thread(target=talk, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    halted = 0
    for n in range(halts):
        if over.wait(rng.uniform(0, RUNNING / 1000)):
            break
        begun = time.monotonic()
        os.killpg(process, signal.SIGSTOP)
        # Any order of magnitude is as likely as another.
        shapes.wait(SHORTEST * (longest / SHORTEST) ** rng.random() / 1000)
        os.killpg(process, signal.SIGCONT)
        halted += time.monotonic() - begun
    over.set()
    for thread in threads:
        thread.join()
    if not any(counts.values()):
        failures.append("no conversation came to its end")
    print(f"{n + 1} halts of {1000 * halted:.0f} ms in all;", *counts.values())
    sys.exit("\n".join(failures) or 0)


main()
