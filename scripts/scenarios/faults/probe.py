"""Clients that behave well, and compare every byte that they receive.

    python3 probe.py HOST PORT SERVICE CONNECTIONS THREADS [SEED]

Each connection asks calc for several sums, or has echo return random bytes. The last line of the
output has the number of connections that were served, and of those that were rejected with a busy
line or with a reset before the first reply: `served 990 rejected 10`. Any other end, any wrong byte
and any missing byte is a failure.
"""

import errno
import random
import socket
import sys
import threading

TIMEOUT = 60  # seconds without a byte, which are a failure
# The errors of a call on a connection that was reset; ENOTCONN is that of shutdown.
RESET = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
BUSY = (
    b"busy: the server is full, try again later\n",
    b"busy: the server cannot start a worker, try again later\n",
)
MAX_REQUESTS = 60  # of one connection
MAX_ECHO = 8192  # bytes of one connection: they fit the kernel's buffers


class Failed(Exception):
    pass


def calc(rng):
    """Some requests, and the replies to them. Spaces make some of the lines long."""
    requests, replies = b"", b""
    for _ in range(rng.randint(1, MAX_REQUESTS)):
        a, b = rng.randint(-999, 999), rng.randint(0, 10 ** rng.randint(1, 30))
        sign, result = rng.choice([("+", a + b), ("-", a - b), ("*", a * b)])
        spaces = " " * rng.choice([0, 1, 1, 1, rng.randint(1, 300)])
        requests += f"{a}{spaces}{sign} {b}\n".encode()
        replies += f"{result}\n".encode()
    return requests, replies


def echo(rng):
    length = rng.randint(1, MAX_ECHO)
    text = rng.getrandbits(8 * length).to_bytes(length, "little")
    return text, text


def pieces(text, rng):
    while text:
        n = rng.choice([len(text), rng.randint(1, len(text)), 1])
        yield text[:n]
        text = text[n:]


def converse(address, service, rng):
    """Runs one connection. Returns true if it was served, and false if it was rejected."""
    requests, replies = service(rng)
    received = b""
    with socket.create_connection(address, timeout=TIMEOUT) as client:
        try:
            for piece in list(pieces(requests, rng))[:20]:
                client.sendall(piece)
                requests = requests[len(piece) :]
            client.sendall(requests)
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(65536):
                received += more
        except socket.timeout:
            raise Failed(f"silence after {len(received)} of {len(replies)} bytes") from None
        except OSError as error:
            if error.errno not in RESET:
                raise
            # A connection that is rejected may be reset, and the busy line may be lost.
            received += rest(client)
            if any(text.startswith(received) for text in BUSY):
                return False
            raise Failed(f"reset after {len(received)} of {len(replies)} bytes") from None
    if received == replies:
        return True
    if received in BUSY:
        return False
    right = next((n for n, (a, b) in enumerate(zip(received, replies)) if a != b), len(received))
    wrong = received[right : right + 60]
    raise Failed(f"{len(received)} bytes of {len(replies)}; wrong from byte {right} on: {wrong}")


def rest(client):
    """The bytes that arrived before a reset."""
    received = b""
    try:
        while more := client.recv(65536):
            received += more
    except OSError:
        pass
    return received


def main():
    host, port, service, connections, threads = sys.argv[1:6]
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
            except (Failed, OSError) as error:
                failures.append(f"connection {number} of seed {seed}: {error!r}")
                return
            with lock:
                counts[served] += 1

    threads = [threading.Thread(target=talk) for _ in range(int(threads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"served {counts[True]} rejected {counts[False]}")
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
