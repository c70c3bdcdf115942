"""Polite clients: they ask, read what they are told to the last byte, and compare.

    python3 probe.py HOST PORT SERVICE CONNECTIONS AT_ONCE [SEED]

asks calc for sums, many at a time, or has echo send random bytes back, over so many connections.
The last line says how many connections were served, and how many were turned away, with the busy
text or with a reset before the first reply: `served 990 refused 10`. Any other end, any wrong byte
and any missing one is a failure, and said.
"""

import errno
import random
import socket
import sys
import threading

TIMEOUT = 60  # seconds without a byte that are a failure; no answer is expected to take as long
# What a call says of a connection that was reset, the last of them a shutdown.
RESET = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
BUSY = b"busy: the server is full, try again later\n"
QUESTIONS = 60  # the most of one connection
ECHOED = 8192  # bytes, the most of one connection: they fit the buffers of the kernel


class Wrong(Exception):
    pass


def calc(dice):
    """Some questions as lines, and their answers. Blanks make some of the lines long."""
    asked, told = b"", b""
    for _ in range(dice.randint(1, QUESTIONS)):
        a, b = dice.randint(-999, 999), dice.randint(0, 10 ** dice.randint(1, 30))
        sign, result = dice.choice([("+", a + b), ("-", a - b), ("*", a * b)])
        blanks = " " * dice.choice([0, 1, 1, 1, dice.randint(1, 300)])
        asked += f"{a}{blanks}{sign} {b}\n".encode()
        told += f"{result}\n".encode()
    return asked, told


def echo(dice):
    length = dice.randint(1, ECHOED)
    text = dice.getrandbits(8 * length).to_bytes(length, "little")
    return text, text


def pieces(text, dice):
    while text:
        n = dice.choice([len(text), dice.randint(1, len(text)), 1])
        yield text[:n]
        text = text[n:]


def converse(address, service, dice):
    """One connection; true if it was served, false if it was turned away."""
    asked, told = service(dice)
    heard = b""
    with socket.create_connection(address, timeout=TIMEOUT) as client:
        try:
            for piece in list(pieces(asked, dice))[:20]:
                client.sendall(piece)
                asked = asked[len(piece) :]
            client.sendall(asked)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                heard += more
        except socket.timeout:
            raise Wrong(f"silence after {len(heard)} of {len(told)} bytes") from None
        except OSError as error:
            if error.errno not in RESET:
                raise
            # Whoever is turned away without a word may be reset; the words may get lost, too.
            heard += rest(client)
            if BUSY.startswith(heard):
                return False
            raise Wrong(f"reset after {len(heard)} of {len(told)} bytes") from None
    if heard == told:
        return True
    if heard == BUSY:
        return False
    common = next((n for n, (a, b) in enumerate(zip(heard, told)) if a != b), len(heard))
    raise Wrong(f"{len(heard)} bytes, {len(told)} wanted; wrong from {heard[common : common + 60]}")


def rest(client):
    """What has come before a connection was found to be reset."""
    heard = b""
    try:
        while more := client.recv(65536):
            heard += more
    except OSError:
        pass
    return heard


def main():
    host, port, service, connections, at_once = sys.argv[1:6]
    seed = sys.argv[6] if len(sys.argv) > 6 else "1"
    service = {"calc": calc, "echo": echo}[service]
    counts = {True: 0, False: 0}
    failures = []
    numbers = iter(range(int(connections)))
    lock = threading.Lock()

    def talk():
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                served = converse((host, int(port)), service, random.Random(f"{seed} {number}"))
            except (Wrong, OSError) as error:
                failures.append(f"connection {number} of seed {seed}: {error!r}")
                return
            with lock:
                counts[served] += 1

    crowd = [threading.Thread(target=talk) for _ in range(int(at_once))]
    for client in crowd:
        client.start()
    for client in crowd:
        client.join()
    print(f"served {counts[True]} refused {counts[False]}")
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
