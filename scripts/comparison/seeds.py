"""python3 -m comparison.seeds CORPUS DICTIONARY COUNT: what a fuzzer of the calculator starts with:
a directory of COUNT questions, a file each, and a dictionary of the tokens in them."""

import os
import sys

from comparison.questions import FUNCTIONS, Questions


def raw(text):
    """Lone surrogates stand for bytes that are no text."""
    return text.encode("utf-8", "surrogateescape")


def main():
    corpus, dictionary, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.makedirs(corpus, exist_ok=True)
    questions = Questions("fuzz")
    for number in range(count):
        with open(os.path.join(corpus, "seed-%d" % number), "wb") as file:
            file.write(raw(questions.question()))
    words = questions.TOKENS + questions.FLOATS + questions.TIGHT + questions.FOREIGN
    words += [name + "(" for name in FUNCTIONS]
    with open(dictionary, "w", encoding="ascii") as file:
        for word in sorted(set(words)):
            file.write('"%s"\n' % "".join("\\x%02x" % byte for byte in raw(word)))


main()
