"""Three clients more than a server has room for, one after the other.

    python3 excess-clients.py HOST PORT LIMIT

prints what each of them sees, a line for each. The limit, in seconds, is part of the observation: a
client that is left to wait sees nothing, and somebody has to say for how long.
"""

import socket
import sys


def knock(client, address):
    """What one client sees, in words."""
    heard = b""
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
            heard += more
        return f"reads '{heard.decode().split(':')[0]}', the end"
    except socket.timeout:
        return "connects, and waits"
    except ConnectionResetError:
        return "connects, and is reset"


def main():
    host, port, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    # All stay until the last has seen what it sees.
    clients = [socket.socket() for _ in range(3)]
    for client in clients:
        client.settimeout(limit)
        print(knock(client, (host, port)))


main()
