"""A thread for each client: each waits in recv for a client of its own.

    python3 thread.py HOST PORT
"""

import threading

import calculator

listener = calculator.listen()
while True:
    client, _ = listener.accept()
    # A daemon thread does not keep the program alive when the main thread ends.
    threading.Thread(target=calculator.talk, args=(client,), daemon=True).start()
