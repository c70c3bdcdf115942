"""A quiz, a thread for each player: a yes, a name, then ten sums, a line each.

    python3 quiz.py HOST PORT
"""

import random
import re
import socket
import threading

import calculator


def play(client: socket.socket) -> None:
    """A game with variables of its own. A word is a wrong answer, and no error."""
    try:  # a file for each direction: one for both forgets what it has read when it writes
        with client, client.makefile("r", errors="replace") as heard, client.makefile("w") as said:
            if heard.readline(calculator.MAX_LINE).strip().lower() not in ("y", "yes", "yess"):
                print("I hope you make a wise choice next time!", file=said)
                return
            heard.readline(calculator.MAX_LINE)  # the name
            score = 0.0
            for _ in range(10):
                a, b = random.randint(0, 9), random.randint(1, 9)
                sums = {"+": a + b, "-": a - b, "*": a * b, "%": a % b}
                sign, value = random.choice(list(sums.items()))
                print(f" -> {a}{sign}{b}", file=said, flush=True)
                if not (line := heard.readline(calculator.MAX_LINE)):
                    return  # the end of input is no answer
                right = re.fullmatch(r"\s*[+-]?\d{1,9}\s*", line) and int(line) == value
                score += 1 if right else -0.25
                print("Correct answer" if right else "Wrong answer", file=said)
            print(score, "Goodbye!", sep="\n", file=said)
    except OSError:  # it has left
        pass


listener = calculator.listen()
while True:
    threading.Thread(target=play, args=(listener.accept()[0],), daemon=True).start()
