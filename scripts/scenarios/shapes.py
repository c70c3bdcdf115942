"""The clients of many courses, each with its own way to send a text and to expect the answer.

    python3 shapes.py HOST PORT SERVICE [lines] [banner] [once] [single-file]

lets every one of them talk to a server, and prints the name of each that understood all that it was
told. They come all at once, or in `single-file`. `lines`: only those that send lines. `banner`: the
server says "Welcome" first. `once`: it answers one request and closes; then they read until the end
of input.
"""

import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 10  # seconds
GAP = 0.025  # seconds without a byte that end a text which has no end of its own
ATTEMPTS = 10
BANNER = b"Welcome\n"
FOUR = b"Addition: 17\nSubtraction: 7\nMultiplication: 60\nDivision: 2.4\n"
BY_ZERO = b"ZeroDivisionError: integer division or modulo by zero"
RIGHT = "⭐ Correct answer ⭐".encode()


def wait(seconds):
    threading.Event().wait(seconds)


def padded(text):
    return text + b"\0" + (b"stale 9 * 9\n" * 100)[: 1023 - len(text)]


def utf(text):
    """As Java's writeUTF does: the length, then UTF-8. No text here needs more than that."""
    return struct.pack(">H", len(text)) + text


def thirds(text):
    return [part for part in (text[:1], text[1:2], text[2:]) if part]


# How a client sends a text, as parts 5 ms apart, and the form in which it expects the answer.
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
    # fgets cuts a long line where its buffer ends.
    "a long line in two sends": (lambda t: [b" " * 1023, t + b"\n"], lambda a: a + b"\n"),
}


class Client:
    def __init__(self, name, address):
        self.send, self.form = SHAPES[name]
        self.is_line = self.form(b"") in (b"\n", b"\r\n")
        # Whatever else has come is another message, which only such a client can tell apart.
        self.is_delimited = self.is_line or self.form is utf
        self.heard = b""
        self.was_held_up = False
        self.server = socket.create_connection(address, timeout=TIMEOUT)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, text):
        begun = time.monotonic()
        for part in self.send(text):
            self.server.sendall(part)
            # A pause that this machine made too long: what is heard now was not asked.
            self.was_held_up |= time.monotonic() - begun > GAP
            begun = time.monotonic()
            wait(0.005)

    def take(self, length):
        while len(self.heard) < length:
            self.heard += self.server.recv(1024) or fail(f"closed after {self.heard}")
        taken, self.heard = self.heard[:length], self.heard[length:]
        return taken

    def hear(self, wanted):
        same(self.take(len(wanted)), wanted)
        if self.heard and not self.is_delimited:
            fail(f"{self.heard} at once with {wanted}")

    def answer(self, text):
        """The answer in this client's form; a last newline is the line's own."""
        if self.form(b"")[:1] in (b"\n", b"\r") and text.endswith(b"\n"):
            text = text[:-1]
        return self.form(text)

    def hear_end(self):
        rest = self.heard
        while more := self.server.recv(1024):
            rest += more
        same(rest, b"")

    def play(self):
        """One question, by someone who takes time to type a name."""
        self.say(b"Yes")
        wait(0.1)
        self.say(b"Bob")
        question = self.take(len(self.form(b" -> 3+4  ")))
        text = question.decode().strip("\0\t\r\n")
        same(text[:4] + text[7:], " ->   ")
        self.say(str(eval(text[4:7])).encode())
        for words in (RIGHT, b"1", b"Bravo!"):
            self.hear(self.form(words))
        self.hear_end()


def fail(reason):
    raise AssertionError(reason)


def same(got, wanted):
    if got != wanted:
        fail(f"{got} instead of {wanted}")


def converse(client, service, manners):
    with client.server:
        if "banner" in manners:
            same(client.take(len(BANNER)), BANNER)
        if service == "quiz":
            client.play()
            return
        rows = {
            "calc": [(b"1 + 2", b"3"), (b"6 * 7", b"42"), (b"7 // 0", BY_ZERO)],
            "hello": [(b"Hello from the client!", b"Hello from the server!")],
            "fourops": [(b"12,5", FOUR)],
            "echo": [(text, b"".join(client.send(text))) for text in (b"1 + 2", b"hello")],
        }[service]
        for text, answer in rows[:1] if "once" in manners else rows:
            client.say(text)
            client.hear(answer if service == "echo" else client.answer(answer))
        if "once" in manners or service in ("hello", "fourops"):
            client.hear_end()


def main():
    host, port, service, *manners = sys.argv[1:]
    failed = []

    def talk(name):
        for attempt in range(ATTEMPTS):
            client = Client(name, (host, int(port)))
            try:
                converse(client, service, manners)
                print(name + "\n", end="")
                return
            except (AssertionError, OSError) as error:
                if client.was_held_up and attempt < ATTEMPTS - 1:
                    continue
                failed.append(f"{name}: {error}")
                return

    lines = [name for name in SHAPES if SHAPES[name][1](b"") in (b"\n", b"\r\n")]
    names = lines if "lines" in manners else SHAPES
    most = 1 if "single-file" in manners else len(names)
    with ThreadPoolExecutor(most) as crowd:
        crowd.map(talk, names)
    sys.exit("\n".join(failed) or 0)


main()
