"""A calculator server with one bug, or with one habit that is none: the planted faults of `grade`.

    python3 mutant.py NAME HOST PORT

`bug(NAME)` stands where the correct server has another line. Without a bug of another design it is a
select loop; mutants.txt lists all.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "peers"))

import calculator

MUTANT = sys.argv.pop(1)
THREADS = (
    "shared-result", "sigpipe", "never-closes", "threads-stay", "newline-crash", "no-framing",
    "one-client-then-end", "half-close-dropped", "one-request", "sends-in-parts",
)

# A name that nothing here asks for would be a correct server.
if MUTANT != "none" and f'"{MUTANT}"' not in Path(__file__).read_text():
    sys.exit(f"no such mutant: {MUTANT}")


def bug(*names: str) -> bool:
    """True if the server is to have this bug."""
    return MUTANT in names


def answer(question: bytes) -> bytes:
    """The answer to a question, with its newline."""
    text = calculator.answer(question)
    is_error = text.startswith(b"error")
    if bug("division-wrong") and b"/" in question and not is_error:
        text += b"1"
    if bug("word-is-zero") and is_error and b"/" not in question:
        text = b"0"
    if bug("word-kills") and is_error and b"/" not in question:
        raise ValueError(question)
    if bug("zero-kills") and is_error and b"/" in question:
        raise ZeroDivisionError(question)
    if bug("zero-is-silent") and is_error and b"/" in question:
        return b""
    if bug("utf8-kills"):
        question.decode()
    if bug("nul-kills"):
        assert b"\0" not in question
    if bug("needs-blanks") and question.count(b" ") != 2 or bug("refuses-blanks") and b" " in question:
        text = b"error: blanks"
    if is_error:
        return b"Invalid input\n" if bug("invalid-input") else text + b"\n"
    if bug("result-words"):
        text = b"Result: " + text
    if bug("repeats-question"):
        text = question.strip() + b" = " + text
    if bug("one-decimal"):
        text = b"%.1f" % float(text)
    if bug("prompts"):
        text += b"\nNext: "
    if bug("no-newline-sent", "newline-crash"):
        return text
    return text + b"\n"


class Lines(calculator.Lines):
    """The lines of a client, less carefully."""

    last = b""

    def answers(self, received: bytes) -> bytes:
        if bug("end-drops-rest") and not received:
            return b""
        if bug("end-answers-again") and not received:
            return super().answers(b"") or self.last
        if bug("whole-lines-only") and len(received) > 1:
            self.rest = b""
        lines = (self.rest + (received or b"\n")).split(b"\n")
        self.rest = lines.pop()
        if bug("one-piece-kept"):
            self.rest = received.rpartition(b"\n")[2]
        if bug("first-line-only"):
            del lines[1:]
        if bug("long-line-kills"):
            assert len(self.rest) < calculator.MAX_LINE
        if len(self.rest) > calculator.MAX_LINE:
            raise ConnectionAbortedError
        self.last = b"".join(map(answer, filter(bytes.strip, lines)))
        return self.last


result = b""
former = []


def talk(client: socket.socket) -> None:
    """Serves a client in a thread of its own."""
    global result
    lines = Lines()
    try:
        received = b"?"
        while received:
            received = client.recv(calculator.RECEIVE_SIZE)
            if bug("newline-crash", "no-framing") and received:
                if bug("newline-crash") and b"\n" in received:
                    os._exit(1)
                client.sendall(answer(received))
                continue
            if bug("half-close-dropped"):
                more, _, _ = select.select([client], [], [], 0.05)
                if more and received.endswith(b"\n") and client.recv(1, socket.MSG_PEEK) == b"":
                    break
            if bug("sigpipe", "sends-in-parts"):
                for line in lines.answers(received).splitlines(keepends=True):
                    if bug("sends-in-parts"):
                        client.sendall(line[:-1])
                        line = line[-1:]
                    client.sendall(line)
                continue
            answers = lines.answers(received)
            if bug("shared-result") and answers.count(b"\n") == 1:
                result = answers
                time.sleep(0.02)
                answers = result
            client.sendall(answers)
            if bug("one-request") and answers:
                break
    except OSError:
        pass
    if bug("one-client-then-end"):
        os._exit(0)
    if not bug("never-closes"):
        client.close()
    if bug("threads-stay"):
        signal.pause() if threading.current_thread() is threading.main_thread() else time.sleep(1e6)


def serve_threads(listener: socket.socket) -> None:
    """A thread for each client."""
    kept = []
    while True:
        client, _ = listener.accept()
        kept.append(client if bug("never-closes") else None)
        if bug("one-client-then-end"):
            listener.close()
            talk(client)
        threading.Thread(target=talk, args=(client,), daemon=True).start()


def serve_processes(listener: socket.socket) -> None:
    """A process for each client, which nobody waits for; or the parent keeps its copies."""
    kept = []
    if not bug("zombies"):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            talk(client)
            os._exit(0)
        if bug("parent-keeps"):
            kept.append(client)
        else:
            client.close()


lines: dict[socket.socket, Lines] = {}
unsent: dict[socket.socket, bytes] = {}


def accept(listener: socket.socket) -> None:
    """Accepts a client."""
    if bug("closes-former"):
        for each in list(unsent):
            forget(each)
    client, _ = listener.accept()
    client.setblocking(bug("blocking-send"))
    lines[client], unsent[client] = Lines(), b""
    if bug("hundred-clients") and len(unsent) > 100:
        forget(client)
    elif bug("greets") or bug("greets-once") and not former:
        former.append(client)
        client.send(b"Welcome to the calculator, version 2\n")
    elif bug("prompts"):
        client.send(b"Next: ")
    elif bug("waits-for-first"):
        select.select([client], [], [])


def forget(client: socket.socket) -> None:
    lines.pop(client, None)
    del unsent[client]
    client.close()


def serve(client: socket.socket, readable: bool) -> None:
    """Receives or sends once."""
    try:
        if readable:
            received = client.recv(calculator.RECEIVE_SIZE)
            unsent[client] = lines[client].answers(received)
            if not received:
                del lines[client]
        if bug("blocking-send"):
            client.sendall(unsent[client])
            unsent[client] = b""
        sent = client.send(unsent[client])
        unsent[client] = b"" if bug("short-send") else unsent[client][sent:]
        leaves = client not in lines and not unsent[client]
    except OSError as error:
        if bug("reset-kills") and isinstance(error, ConnectionResetError):
            raise
        if bug("reset-in-line-kills") and client in lines and lines[client].rest:
            raise
        leaves = not isinstance(error, BlockingIOError)
    if leaves and bug("all-leave"):
        for each in [it for it in unsent if it is client or it in lines and lines[it].last]:
            forget(each)
    elif leaves:
        forget(client)


def serve_loop(listener: socket.socket) -> None:
    """A select loop."""
    last = None
    while True:
        turns = bug("takes-turns") and len(unsent) > 1
        reading = [it for it in lines if not unsent[it] and not (turns and it is last)]
        writing = [it for it in unsent if unsent[it]]
        timeout = 0.001 if bug("wakes") else 0 if bug("spins") else None
        readable, writable, _ = select.select([listener, *reading], writing, [], timeout)
        for ready in readable + writable:
            if ready is listener:
                accept(listener)
            elif ready in unsent:
                last = ready
                serve(ready, ready in readable)


def listen() -> socket.socket:
    """The listening socket."""
    host, port = sys.argv[1], int(sys.argv[2])
    if bug("late"):
        time.sleep(2)
    listener = socket.socket()
    if not bug("no-reuseaddr"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bug("reuseport"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError:
        if bug("bind-unchecked"):
            time.sleep(1e6)
        if not bug("next-port"):
            raise
        listener.bind((host, 0))
    listener.listen(5 if bug("short-queue") else calculator.BACKLOG)
    return listener


def main() -> None:
    listener = listen()
    if bug("ignores-sigterm", "ignores-signals"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if bug("ignores-signals"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if bug("sigpipe"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if bug("forks-and-leaves") and os.fork() > 0:
        os._exit(0)
    if bug("zombies", "parent-keeps"):
        serve_processes(listener)
    elif MUTANT in THREADS:
        serve_threads(listener)
    serve_loop(listener)


main()
