"""More designs in Python: designs.py threading|forking|executor|multiprocessing|polling HOST PORT"""

import concurrent.futures
import multiprocessing
import socket
import socketserver
import sys
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


if design in ("threading", "forking"):
    Server = {
        "threading": socketserver.ThreadingTCPServer,
        "forking": socketserver.ForkingTCPServer,
    }[design]
    Server.allow_reuse_address = True
    with Server((sys.argv[1], int(sys.argv[2])), Handler) as server:
        server.serve_forever()
listener = calculator.listen()
if design == "executor":
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        while True:
            executor.submit(calculator.talk, listener.accept()[0])
if design == "multiprocessing":
    for _ in range(4):
        multiprocessing.Process(target=work, daemon=True).start()
    time.sleep(1e6)
poll()
