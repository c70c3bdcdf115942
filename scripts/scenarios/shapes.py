"""The clients of many courses, each with its own way to send a text and to expect the reply.

    python3 shapes.py HOST PORT SERVICE [lines] [banner] [once] [one-by-one]

Runs each of them against a server, and prints the names of those that understood all replies. Each
asks eight questions on one connection, whose replies differ: a late reply is not taken for the next
one. The service hello answers one, as does a server with `once`, and closes; then the clients read to
the end of input. They connect at the same time, or `one-by-one`. `lines`: only the clients that send
lines. `banner`: the server sends "Welcome" first.
"""

import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 5  # seconds
GAP = 0.025  # seconds without a byte that end a text without a terminator
PAUSE = 0.1  # seconds between a reply and the next text that are the machine's, not the client's
TYPING = 0.1  # seconds before the name of a player, in the first attempt
ATTEMPTS = 10
BEGINNINGS = 3  # attempts after a game that did not begin, whoever was late
BANNER = b"Welcome\n"
FOUR = b"Addition: 17\nSubtraction: 7\nMultiplication: 60\nDivision: 2.4\n"
QUESTIONS = 8
# What the clients ask each service, with the replies.
ROWS = {
    "calc": [
        (b"1 + 2", b"3"),
        (b"6 * 7", b"42"),
        (b"7 // 0", b"ZeroDivisionError: integer division or modulo by zero"),
        (b"2 - 9", b"-7"),
        (b"2 ** 200", b"%d" % 2**200),
        (b"x", b"NameError: name 'x' is not defined"),
        (b"9 / 2", b"4.5"),
        (b"17 % 5", b"2"),
    ],
    "echo": [(text, None) for text in b"1 + 2,hello,x,6 * 7,three words here,0,?,the end".split(b",")],
    "hello": [(b"Hello from the client!", b"Hello from the server!")],
    "fourops": [
        (b"add 1 2", b"3"),
        (b"subtract 2 9", b"-7"),
        (b"multiply 6 7", b"42"),
        (b"divide 9 2", b"4.5"),
        (b"divide 1 0", b"undefined (division by zero)"),
        (b"add 20 1", b"21"),
        (b"multiply 9 9", b"81"),
        (b"12,5", FOUR),
    ],
}
RIGHT = "⭐ Correct answer ⭐".encode()


def wait(seconds):
    threading.Event().wait(seconds)


def padded(text):
    return text + b"\0" + (b"stale 9 * 9\n" * 100)[: 1023 - len(text)]


def utf(text):
    """The text as Java's writeUTF sends it: two bytes of length, then UTF-8."""
    return struct.pack(">H", len(text)) + text


def thirds(text):
    return [part for part in (text[:1], text[1:2], text[2:]) if part]


# The parts in which a client sends a text, 5 ms apart, and the form in which it expects the reply.
SHAPES = {
    "a bare text": (lambda t: [t], lambda a: a),
    "a string with its NUL": (lambda t: [t + b"\0"], lambda a: a + b"\0"),
    "a padded buffer": (lambda t: [padded(t)], lambda a: a + b"\0"),
    "a line with a NUL": (lambda t: [t + b"\n\0"], lambda a: a + b"\n\0"),
    "a line in a padded buffer": (lambda t: [padded(t + b"\n")], lambda a: a + b"\n\0"),
    "a writeUTF of Java": (lambda t: [utf(t)], utf),
    "a line": (lambda t: [t + b"\n"], lambda a: a + b"\n"),
    "a line with CRLF": (lambda t: [t + b"\r\n"], lambda a: a + b"\r\n"),
    "a text in three sends": (thirds, lambda a: a),
    "a line in three sends": (lambda t: thirds(t + b"\n"), lambda a: a + b"\n"),
    # fgets cuts a long line at the end of its buffer.
    "a long line in two sends": (lambda t: [b" " * 1023, t + b"\n"], lambda a: a + b"\n"),
}


class Client:
    def __init__(self, name, address, attempt=0):
        self.send, self.form = SHAPES[name]
        self.is_line = self.form(b"") in (b"\n", b"\r\n")
        # Only such a client can tell one message from the next.
        self.is_delimited = self.is_line or self.form is utf
        self.received = b""
        self.was_late = False
        # A server that has no processor while the name is typed may take two texts for one.
        self.has_begun = False
        self.typing = TYPING * (attempt + 1)
        self.active_at = time.monotonic()
        self.server = socket.create_connection(address, timeout=TIMEOUT)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, text):
        limit = PAUSE
        for part in self.send(text):
            self.server.sendall(part)
            # A pause that the machine made too long: the server has seen a gap within the text, or
            # the silence of a client.
            self.was_late |= time.monotonic() - self.active_at > limit
            self.active_at, limit = time.monotonic(), GAP
            wait(0.005)

    def take(self, length):
        while len(self.received) < length:
            self.received += self.server.recv(1024) or fail(f"closed after {self.received}")
        taken, self.received = self.received[:length], self.received[length:]
        self.active_at = time.monotonic()
        return taken

    def expect(self, reply):
        same(self.take(len(reply)), reply)
        if self.received and not self.is_delimited:
            fail(f"{self.received} together with {reply}")

    def reply(self, text):
        """A reply in this client's form; the newline at its end is that of the line."""
        if self.form(b"")[:1] in (b"\n", b"\r") and text.endswith(b"\n"):
            text = text[:-1]
        return self.form(text)

    def expect_end(self):
        rest = self.received
        while more := self.server.recv(1024):
            rest += more
        same(rest, b"")

    def play(self):
        """A game; the name is typed slowly."""
        self.say(b"Yes")
        wait(self.typing)
        self.active_at = time.monotonic()
        self.say(b"Bob")
        for _ in range(QUESTIONS):
            question = self.take(len(self.form(b" -> 3+4  ")))
            self.has_begun = True
            text = question.decode().strip("\0\t\r\n")
            same(text[:4] + text[7:], " ->   ")
            self.say(str(eval(text[4:7])).encode())
            self.expect(self.form(RIGHT))
        for words in (b"%d" % QUESTIONS, b"Bravo!"):
            self.expect(self.form(words))
        self.expect_end()


def fail(reason):
    raise AssertionError(reason)


def same(got, expected):
    if got != expected:
        fail(f"{got} instead of {expected}")


def converse(client, service, modes):
    with client.server:
        if "banner" in modes:
            same(client.take(len(BANNER)), BANNER)
        if service == "quiz":
            client.play()
            return
        for text, reply in ROWS[service][:1] if "once" in modes else ROWS[service]:
            client.say(text)
            client.expect(b"".join(client.send(text)) if service == "echo" else client.reply(reply))
        if "once" in modes or service in ("hello", "fourops"):
            client.expect_end()


def main():
    host, port, service, *modes = sys.argv[1:]
    failed = []

    def talk(name):
        for attempt in range(ATTEMPTS):
            client = Client(name, (host, int(port)), attempt)
            try:
                converse(client, service, modes)
                print(name + "\n", end="")
                return
            except (AssertionError, OSError) as error:
                may_be_late = service == "quiz" and not client.has_begun and attempt < BEGINNINGS
                if (client.was_late or may_be_late) and attempt < ATTEMPTS - 1:
                    continue
                failed.append(f"{name}: {error}")
                return

    lines = [name for name in SHAPES if SHAPES[name][1](b"") in (b"\n", b"\r\n")]
    names = lines if "lines" in modes else SHAPES
    with ThreadPoolExecutor(1 if "one-by-one" in modes else len(names)) as threads:
        threads.map(talk, names)
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
