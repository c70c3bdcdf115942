"""What the servers in this folder have in common: questions, lines and the listening socket.

They are plain versions to read first: one classic design each, in the fewest lines that are right.
A question is a line, `a OP b` with + - * /; the answer is a line, a number or words. With the word
`echo` behind HOST PORT all that is received comes back.
"""

import re
import signal
import socket
import sys

MAX_LINE = 65_536  # bytes; a client that sends more without a newline is dropped
RECEIVE_SIZE = 65_536  # bytes
BACKLOG = 128  # clients that may wait to be accepted

NUMBER = rb"\s*([+-]?[0-9]{1,50}(?:\.[0-9]{1,50})?)\s*"
QUESTION = re.compile(NUMBER + rb"([-+*/])" + NUMBER)


def number(text: bytes) -> int | float:
    """The number that is written here."""
    return float(text) if b"." in text else int(text)


def answer(question: bytes) -> bytes:
    """The answer to a question, both without newline."""
    match = QUESTION.fullmatch(question)
    if not match:
        return b"error: write a OP b, where OP is + - * or /"
    a, b = number(match[1]), number(match[3])
    if match[2] == b"/":
        if b == 0:
            return b"error: division by zero"
        return str(a // b if isinstance(a, int) and a % b == 0 else a / b).encode()
    return str(a + b if match[2] == b"+" else a - b if match[2] == b"-" else a * b).encode()


class Lines:
    """Cuts what one client sends into lines, for recv gives bytes: half a line, or three."""

    def __init__(self) -> None:
        self.rest = b""

    def answers(self, received: bytes) -> bytes:
        """The answers to the lines that are whole now; at the end of input (b""), to the rest."""
        if sys.argv[3:] == ["echo"]:
            return received
        lines = (self.rest + (received or b"\n")).split(b"\n")
        self.rest = lines.pop()
        if len(self.rest) > MAX_LINE:
            raise ConnectionAbortedError("the line is too long")
        return b"".join(answer(line) + b"\n" for line in lines if line.strip())


def talk(client: socket.socket) -> None:
    """Serves one client until it leaves, for the designs that may wait for it."""
    lines = Lines()
    with client:
        try:
            received = b"?"
            while received:  # b"" is the end of input; a last line may be left
                received = client.recv(RECEIVE_SIZE)
                client.sendall(lines.answers(received))
        except OSError:  # it has left: a reset, or nobody reads the answers
            pass


def listen() -> socket.socket:
    """The listening socket on HOST and PORT of the command line. SIGTERM ends the program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, lambda *_: sys.exit())
    host, port = sys.argv[1:3]
    # create_server sets SO_REUSEADDR: the next server can bind at once.
    listener = socket.create_server((host, int(port)), backlog=BACKLOG)
    # No answer waits for the acknowledgement of the one before; the clients' sockets inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
