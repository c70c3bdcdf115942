"""Prefork: processes started beforehand wait in accept on the same listening socket; the kernel gives
each client to one of them. WORKERS are served at once, the next clients wait in the accept queue.

    python3 prefork.py HOST PORT
"""

import os
import signal

import calculator

WORKERS = 4


def work() -> None:
    """The life of a worker: one client after another."""
    try:
        while True:
            client, _ = listener.accept()
            calculator.talk(client)
    finally:
        os._exit(1)


listener = calculator.listen()
workers: list[int] = []
try:
    for _ in range(WORKERS):
        if (worker := os.fork()) == 0:
            work()
        workers.append(worker)
    workers.remove(os.wait()[0])  # until SIGTERM; if a worker fails, all end
finally:
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
