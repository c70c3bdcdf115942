"""A process for each client: fork after accept. The child has copies of all descriptors, and a
connection ends when the last copy is closed: each side closes what the other one uses.

    python3 process.py HOST PORT
"""

import contextlib
import os
import signal

import calculator

children: set[int] = set()


def reap(*_: object) -> None:
    """Waits for the children that have ended, or they would stay as zombies."""
    with contextlib.suppress(ChildProcessError):  # none is left: SIGCHLD interrupts this as well
        while child := os.waitpid(-1, os.WNOHANG)[0]:
            children.discard(child)


listener = calculator.listen()
signal.signal(signal.SIGCHLD, reap)
try:
    while True:
        with listener.accept()[0] as client:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the child is noted
            if (child := os.fork()) == 0:
                try:
                    listener.close()
                    calculator.talk(client)
                finally:
                    os._exit(0)
            children.add(child)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
finally:
    for child in list(children):
        with contextlib.suppress(ProcessLookupError):  # it may have ended, and been waited for
            os.kill(child, signal.SIGTERM)
