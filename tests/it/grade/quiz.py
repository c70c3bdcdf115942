"""A quiz with one bug, or with one habit that is none: the planted faults of `grade --service quiz`.

    python3 quiz.py NAME HOST PORT

`bug(NAME)` stands where the correct quiz has another line; quiz.txt lists all. The habits of the
first quizzes are among them: a message is what one recv returns, and nothing is behind it.
"""

import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

MUTANT = sys.argv[1]

# A name that nothing here asks for would be a correct quiz.
if MUTANT != "none" and f'"{MUTANT}"' not in Path(__file__).read_text():
    sys.exit(f"no such mutant: {MUTANT}")


def bug(*names: str) -> bool:
    """True if the quiz is to have this bug."""
    return MUTANT in names


class Player:
    """A client and its game."""

    score = 0.0
    value = 0

    def __init__(self, client: socket.socket) -> None:
        self.client, self.received = client, b""

    def say(self, text: str) -> None:
        """Sends a message."""
        self.client.sendall(text.encode() + (b"" if bug("bare", "bare-pauses") else b"\n"))

    def hear(self) -> str:
        """The next message."""
        if bug("bare", "bare-pauses", "one-recv"):
            message = self.client.recv(1024)
            if not message:
                raise ConnectionAbortedError
            return message.decode() if bug("bare", "bare-pauses") else message.decode().strip()
        while b"\n" not in self.received:
            more = self.client.recv(1024)
            if not more and not self.received:
                raise ConnectionAbortedError
            self.received += more or b"\n"
        line, _, self.received = self.received.partition(b"\n")
        return line.decode(errors="replace").strip()

    def ask(self, number: int) -> None:
        """Asks a question and judges the answer."""
        holder = Player if bug("shared-question") else self
        a, sign, b = random.randint(0, 9), random.choice("+-*%"), random.randint(1, 9)
        holder.value = {"+": a + b, "-": a - b, "*": a * b, "%": a % b}[sign]
        if bug("wordy"):
            self.say(f"Question {number}/10: what is {a} {sign} {b} ?")
        elif not bug("bare-pauses"):
            self.say(f" -> {a}{sign}{b}  ")
        else:
            time.sleep(0.1)
            self.say(f" -> {a}{sign}{b}  ")
        answer = self.hear()
        try:
            right = int(answer) == holder.value
        except ValueError:
            if bug("word-closes", "word-ends"):
                if bug("word-ends"):
                    self.say("That is no number.")
                raise
            if bug("word-kills"):
                os._exit(1)
            right = False
        if bug("shared-score"):
            Player.score += 1 if right else -0.25
        elif not bug("counts-all"):
            self.score += 1 if right else -0.25
        else:
            self.score += 1
        if bug("running-score"):
            self.say(f"Score: {self.score}")
        elif bug("repeats"):
            self.say(f"{a}{sign}{b}={holder.value}: " + ("Correct" if right else "Wrong"))
        elif bug("tells-at-end"):
            pass
        elif bug("wordy"):
            self.say("Great!" if right else f"No, it was {holder.value}.")
        else:
            self.say("Correct" if right or bug("praises-all") else "Wrong")

    def play(self) -> None:
        """A whole game."""
        if bug("wordy"):
            self.say("Are you ready to play? 10 questions: +1 or -0.25")
        if self.hear().lower() != "yes" and not bug("plays-anyway"):
            self.say("I hope you make a wise choice next time!")
            if bug("stays-open"):
                time.sleep(1e6)
            return
        if bug("wordy"):
            self.say("What is your name?")
        if not bug("nameless"):
            self.hear()
        number = 0
        while number < 10 or bug("endless"):
            number += 1
            self.ask(number)
        self.say(f"{self.score} of 10" if bug("wordy") else str(self.score))
        if bug("open-at-end"):
            self.hear()


def serve(client: socket.socket) -> None:
    """Serves a client."""
    with client:
        try:
            Player(client).play()
        except (OSError, ValueError):
            if bug("leaving-kills"):
                print("the player has left", file=sys.stderr, flush=True)
                os._exit(1)


listener = socket.create_server((sys.argv[2], int(sys.argv[3])), backlog=128)
while True:
    client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(client,), daemon=True).start()
