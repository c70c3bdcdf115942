"""Three clients beyond the limit of a server, one after the other.

    python3 excess-clients.py HOST PORT TIMEOUT

Prints what each of them sees, one line for each. The timeout, in seconds, is part of the observation:
a client that waits sees nothing for that time.
"""

import socket
import sys


def observe(client, address):
    """What one client sees, in words."""
    received = b""
    try:
        client.connect(address)
    except socket.timeout:
        return "cannot connect: no answer"
    except ConnectionRefusedError:
        return "cannot connect: refused"
    except ConnectionResetError:
        return "connects, and is reset"
    try:
        while more := client.recv(1024):
            received += more
        return f"reads '{received.decode().split(':')[0]}', the end"
    except socket.timeout:
        return "connects, and waits"
    except ConnectionResetError:
        return "connects, and is reset"


def main():
    host, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # All stay connected until the last has seen something.
    clients = [socket.socket() for _ in range(3)]
    for client in clients:
        client.settimeout(timeout)
        print(observe(client, (host, port)))


main()
