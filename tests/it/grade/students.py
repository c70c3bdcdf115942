"""A calculator server with a thread for each client, with the habits of servers that students wrote.

    python3 students.py NAME HOST PORT

Each function below is a habit; students.txt lists all.
"""

import itertools
import json
import os
import pickle
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

NAME, HOST, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
asked = itertools.count()
tidied = [0.0]


def value(question: str) -> float:
    """The value of a question; without an operator that is a ValueError."""
    for operator in "+-*/":
        left, found, right = question.strip().partition(operator)
        if found and left:
            a, b = int(left), int(right)
            return {"+": a + b, "-": a - b, "*": a * b}[operator] if operator != "/" else a / b
    raise ValueError(question)


def answer(question: str) -> str:
    """The value as a text, or an error."""
    try:
        return f"{value(question):g}" if abs(value(question)) < 1e5 else str(value(question))
    except (ValueError, ZeroDivisionError):
        return "Error: not a valid expression"


def lines(client: socket.socket) -> Iterator[str]:
    """The lines of a client."""
    for line in client.makefile("r", newline="\n", errors="replace"):
        yield line.rstrip("\r\n")


def reply(client: socket.socket, form: str) -> None:
    """Replies in this form to every line."""
    for line in lines(client):
        client.sendall(form.format(answer(line)).encode())


def ends_in_crlf(client: socket.socket) -> None:
    reply(client, "{}\r\n")


def banner_and_prompts(client: socket.socket) -> None:
    client.sendall(b"=== CALC SERVER v1.0 ===\nType 'quit' to exit\nEnter expression: ")
    reply(client, "Result: {}\nEnter expression: ")


def menu_after_each(client: socket.socket) -> None:
    client.sendall(b"Welcome!\n1) calculate\n2) quit\nYour choice: ")
    reply(client, "THE ANSWER IS {}\n1) calculate\n2) quit\nYour choice: ")


def late_prompt(client: socket.socket) -> None:
    client.sendall(b"Next: ")
    for line in lines(client):
        client.sendall(answer(line).encode() + b"\n")
        time.sleep(0.1)
        client.sendall(b"Next: ")


def late_greeting(client: socket.socket) -> None:
    time.sleep(0.1)
    client.sendall(b"Welcome to calc 2.0\n")
    reply(client, "{}\n")


def numbered_greeting(client: socket.socket) -> None:
    client.sendall(f"You are client {client.getpeername()[1]}\n".encode())
    reply(client, "{}\n")


def goodbye(client: socket.socket) -> None:
    reply(client, "{}\n")
    client.sendall(b"Goodbye!\n")


def counter(client: socket.socket) -> None:
    for number, line in enumerate(lines(client)):
        client.sendall(f"{answer(line)} (question {number})\n".encode())


def process_number_and_zero(client: socket.socket) -> None:
    for line in lines(client):
        text = answer(line)
        client.sendall(f"[{os.getpid()}] {0 if 'E' in text else text}\n".encode())


def json_objects(client: socket.socket) -> None:
    for line in lines(client):
        try:
            text = {"status": "ok", "result": value(line), "id": 7}
        except (ValueError, ZeroDivisionError):
            text = {"status": "error", "result": None, "id": 7}
        client.sendall(json.dumps(text).encode())


def codes(client: socket.socket) -> None:
    for line in lines(client):
        text = answer(line)
        client.sendall(b"400\n" if "E" in text else f"200 {text}\n".encode())


def scientific(client: socket.socket) -> None:
    for line in lines(client):
        text = answer(line)
        client.sendall(b"?\n" if "E" in text else f"{float(text):e}\n".encode())


def padded(client: socket.socket) -> None:
    reply(client, "{:\0<64}")


def padded_with_blanks(client: socket.socket) -> None:
    reply(client, "{:<64}")


def whole_buffer(client: socket.socket) -> None:
    """It sends its buffer, with what is left in it of longer texts."""
    buffer = bytearray(b"Hello, 12 clients are served.".ljust(64, b"9"))
    for line in lines(client):
        text = answer(line).encode() + b"\0"
        buffer[: len(text)] = text
        client.sendall(buffer)


def byte_by_byte(client: socket.socket) -> None:
    line = b""
    while byte := client.recv(1):
        line += byte
        if byte == b"\n":
            client.sendall(answer(line.decode(errors="replace")).encode() + b"\n")
            line = b""
    if line:
        client.sendall(answer(line.decode(errors="replace")).encode() + b"\n")


def closes_on_empty_line(client: socket.socket) -> None:
    for line in lines(client):
        if not line.strip():
            break
        client.sendall(answer(line).encode() + b"\n")


def pauses(client: socket.socket) -> None:
    for line in lines(client):
        client.sendall(b"Calculating...\n")
        time.sleep(0.15)
        client.sendall(answer(line).encode() + b"\n")


def slow(client: socket.socket) -> None:
    for line in lines(client):
        time.sleep(0.3)
        client.sendall(answer(line).encode() + b"\n")


def endless_error(client: socket.socket) -> None:
    for line in lines(client):
        while (text := answer(line)).startswith("Error"):
            client.sendall(text.encode() + b"\n")
        client.sendall(text.encode() + b"\n")


def slow_for_a_while(client: socket.socket) -> None:
    for line in lines(client):
        if next(asked) in range(15, 45):
            time.sleep(0.8)
        client.sendall(answer(line).encode() + b"\n")


def tidies_up(client: socket.socket) -> None:
    for line in lines(client):
        client.sendall(answer(line).encode() + b"\n")
        silent = not select.select([client], [], [], 0.2)[0]
        if silent and time.monotonic() > tidied[-1] + 0.5:
            tidied.append(time.monotonic())
            until = time.thread_time() + 0.4
            while time.thread_time() < until:
                pass


def noisy(client: socket.socket) -> None:
    for line in lines(client):
        print("received", line, "x" * 5000)
        client.sendall(answer(line).encode() + b"\n")


def wants(client: socket.socket, end: bytes) -> None:
    """Every question ends in these bytes, and every answer."""
    received = b""
    while more := client.recv(1024):
        received += more
        while end in received:
            question, _, received = received.partition(end)
            client.sendall(answer(question.decode(errors="replace")).encode() + end)
    if received:
        client.sendall(answer(received.decode(errors="replace")).encode() + end)


def wants_crlf(client: socket.socket) -> None:
    wants(client, b"\r\n")


def wants_nul(client: socket.socket) -> None:
    wants(client, b"\0")


def exactly(client: socket.socket, length: int) -> bytes:
    """So many bytes."""
    received = b""
    while len(received) < length:
        more = client.recv(length - len(received))
        if not more:
            raise ConnectionError
        received += more
    return received


def lengths(client: socket.socket, form: str) -> None:
    """Every message has its length before it."""
    while True:
        (length,) = struct.unpack(form, exactly(client, struct.calcsize(form)))
        if length > 1 << 20:
            return
        text = answer(exactly(client, length).decode(errors="replace")).encode()
        client.sendall(struct.pack(form, len(text)) + text)


def write_utf(client: socket.socket) -> None:
    text = b"Enter the equation in the form: operand operator operand"
    client.sendall(struct.pack(">H", len(text)) + text)
    lengths(client, ">H")


def length_of_4_bytes(client: socket.socket) -> None:
    lengths(client, ">I")


def header_of_64(client: socket.socket) -> None:
    while True:
        text = exactly(client, int(exactly(client, 64)))
        client.sendall(answer(text.decode(errors="replace")).encode())


def one_recv(client: socket.socket) -> None:
    while received := client.recv(1024):
        client.sendall(answer(received.decode(errors="replace")).encode() + b"\n")


def pickled(client: socket.socket) -> None:
    for line in lines(client):
        client.sendall(pickle.dumps(value(line)))


def typed(client: socket.socket) -> None:
    while received := client.recv(1024):
        print("client:", received)
        client.sendall(input("reply: ").encode())


def silent(client: socket.socket) -> None:
    while client.recv(1024):
        pass


def by_commands(client: socket.socket) -> None:
    for _ in lines(client):
        client.sendall(b"unknown command, try ADD or SUB\n")


def plain(client: socket.socket) -> None:
    reply(client, "{}\n")


def cuts_two(client: socket.socket) -> None:
    """It was tried with telnet, which ends a line in CR LF."""
    while received := client.recv(1024):
        client.sendall(answer(received[:-2].decode(errors="replace")).encode() + b"\n")


def short_lines(client: socket.socket) -> None:
    """It reads as fgets does: at most 256 bytes of a line."""
    file = client.makefile("rb")
    while line := file.readline(256):
        client.sendall(answer(line.decode(errors="replace")).encode() + b"\n")


def reads_once(client: socket.socket) -> None:
    """It waits edge-triggered, and receives once for an event, but for the last one."""
    epoll = select.epoll()
    epoll.register(client, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
    received, last = b"", False
    while not last:
        ((_, events),) = epoll.poll()
        last = bool(events & select.EPOLLRDHUP)
        received += client.recv(1 << 20 if last else 1024)
        *whole, received = received.split(b"\n")
        if last and received:
            whole.append(received)
        for line in whole:
            client.sendall(answer(line.decode(errors="replace")).encode() + b"\n")


def fixed_port_dies(client: socket.socket) -> None:
    for line in lines(client):
        try:
            client.sendall(f"{value(line):g}\n".encode())
        except ValueError:
            os._exit(1)


def late_accept(client: socket.socket) -> None:
    client.sendall(answer(next(lines(client))).encode() + b"\n")


console = ipv6 = any_port = five_clients = fixed_port = fixed_port_unchecked = plain


def wait_for_console() -> None:
    """A line, or the end of the input, ends the server."""
    sys.stdin.readline()
    os._exit(0)


def own_port() -> int:
    """A port that is the same at each start by one grading, and another for the next."""
    supervisor = open(f"/proc/{os.getppid()}/stat", encoding="ascii").read()
    return 12000 + int(supervisor.rpartition(")")[2].split()[1]) % 8000


def serve(client: socket.socket) -> None:
    try:
        globals()[NAME](client)
    except (OSError, ValueError, ZeroDivisionError, struct.error):
        pass
    finally:
        client.close()


def main() -> None:
    is_ipv6 = NAME == "ipv6"
    listener = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET)
    reuse = NAME != "late_accept" and not NAME.startswith("fixed_port")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    port = own_port() if NAME.startswith("fixed_port") else 0 if NAME == "any_port" else PORT
    try:
        listener.bind(("::1" if is_ipv6 else HOST, port))
    except OSError:
        if NAME != "fixed_port_unchecked":
            raise
    listener.listen(128)
    if NAME == "console":
        threading.Thread(target=wait_for_console, daemon=True).start()
    print("Server is listening")
    few = NAME == "five_clients"
    for _ in range(5) if few else iter(int, 1):
        time.sleep(0.1 if NAME == "late_accept" else 0)
        client, address = listener.accept()
        print("Connected by", address)
        threading.Thread(target=serve, args=(client,), daemon=not few).start()


main()
