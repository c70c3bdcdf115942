"""More designs in Python: designs.py DESIGN HOST PORT; the designs are at the end of the file."""

import concurrent.futures
import multiprocessing
import select
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "scripts" / "peers"))

import calculator

design = sys.argv.pop(1)


class Handler(socketserver.BaseRequestHandler):
    """Serves one client."""

    def handle(self) -> None:
        calculator.talk(self.request)


def work() -> None:
    """The life of a process that was started beforehand."""
    while True:
        calculator.talk(listener.accept()[0])


def poll() -> None:
    """Looks for clients and for questions again and again."""
    listener.setblocking(False)
    clients = []
    while True:
        for ready in [listener, *clients]:
            try:
                if ready is listener:
                    clients.append(listener.accept()[0])
                    clients[-1].setblocking(False)
                elif received := ready.recv(calculator.RECEIVE_SIZE):
                    ready.send(calculator.Lines().answers(received))
                else:
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                clients.remove(ready)
                ready.close()
        time.sleep(0.01)


def select_one(client: socket.socket) -> None:
    """Serves one client, with a limit on its silence."""
    lines = calculator.Lines()
    with client:
        while select.select([client], [], [], 60)[0]:
            received = client.recv(calculator.RECEIVE_SIZE)
            client.sendall(lines.answers(received))
            if not received:
                break


if design in ("threading", "forking"):
    Server = {
        "threading": socketserver.ThreadingTCPServer,
        "forking": socketserver.ForkingTCPServer,
    }[design]
    Server.allow_reuse_address = True
    with Server((sys.argv[1], int(sys.argv[2])), Handler) as server:
        server.serve_forever()
listener = calculator.listen()
while design == "selecting":
    threading.Thread(target=select_one, args=listener.accept()[:1], daemon=True).start()
if design in ("executor", "large-executor"):
    workers = 8 if design == "executor" else 100
    with concurrent.futures.ThreadPoolExecutor(workers) as executor:
        while True:
            executor.submit(calculator.talk, listener.accept()[0])
if design == "multiprocessing":
    for _ in range(4):
        multiprocessing.Process(target=work, daemon=True).start()
    time.sleep(1e6)
poll()
