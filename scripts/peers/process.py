"""A process for each client: fork after accept. The child has copies of all descriptors, and a
connection ends when the last copy is closed: each side closes what the other one uses.

    python3 process.py HOST PORT
"""

import os
import signal

import calculator

CHILD_ENDS = {signal.SIGCHLD}
children: set[int] = set()


def reap(*_: object) -> None:
    """Waits for the children that have ended, or they would stay as zombies."""
    while children and (child := os.waitpid(-1, os.WNOHANG)[0]):
        children.discard(child)


listener = calculator.listen()
signal.signal(signal.SIGCHLD, reap)
try:
    while True:
        client, _ = listener.accept()
        # A child must be noted before it is reaped.
        signal.pthread_sigmask(signal.SIG_BLOCK, CHILD_ENDS)
        if (child := os.fork()) == 0:
            try:
                listener.close()
                calculator.talk(client)
            finally:
                os._exit(0)
        children.add(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CHILD_ENDS)
        client.close()
finally:
    for child in list(children):
        os.kill(child, signal.SIGTERM)
