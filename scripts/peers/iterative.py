"""Iterative: one client after another; the next ones wait in the accept queue.

    python3 iterative.py HOST PORT
"""

import calculator

listener = calculator.listen()
while True:
    client, _ = listener.accept()
    calculator.talk(client)
