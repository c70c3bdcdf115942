"""A pool: threads started beforehand take clients from a queue. WORKERS are served at once, and the
next clients wait in the accept queue: the main thread accepts only when a worker is free.

    python3 pool.py HOST PORT
"""

import queue
import socket
import threading

import calculator

WORKERS = 4

accepted: queue.Queue[socket.socket] = queue.Queue()
free = threading.Semaphore(WORKERS)


def work() -> None:
    """The life of a worker: one client after another."""
    while True:
        calculator.talk(accepted.get())
        free.release()


listener = calculator.listen()
for _ in range(WORKERS):
    threading.Thread(target=work, daemon=True).start()
while True:
    free.acquire()
    client, _ = listener.accept()
    accepted.put(client)
