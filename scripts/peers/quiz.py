"""A quiz, a thread for each player: a yes, a name, then ten sums, a line each.

    python3 quiz.py HOST PORT
"""

import operator
import random
import re
import socket
import threading

import calculator

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod}


def play(client: socket.socket) -> None:
    """A game; its variables belong to this player alone."""
    try:  # a file for each direction: one for both forgets what it has read when it writes
        with client, client.makefile("r", errors="replace") as heard, client.makefile("w") as said:
            if heard.readline(calculator.MAX_LINE).strip().lower() not in ("y", "yes", "yess"):
                return print("I hope you make a wise choice next time!", file=said)
            heard.readline(calculator.MAX_LINE)  # the name
            score = 0.0
            for _ in range(10):
                a, sign, b = random.randint(0, 9), random.choice("+-*%"), random.randint(1, 9)
                print(f" -> {a}{sign}{b}", file=said, flush=True)
                if not (line := heard.readline(calculator.MAX_LINE)):
                    return None  # the end of input is no answer
                is_number = re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", line)  # a word is wrong
                right = is_number and int(line) == SIGNS[sign](a, b)
                score += 1 if right else -0.25
                print("Correct answer" if right else "Wrong answer", file=said)
            return print(score, "Goodbye!", sep="\n", file=said)
    except OSError:  # it has left
        return None


listener = calculator.listen()
while True:
    threading.Thread(target=play, args=(listener.accept()[0],), daemon=True).start()
