"""Random texts for a calculator: most are sound expressions, some are spoiled, a few are junk."""

import math
import random

# The longest text, in bytes: below the server's default limit of 4096 for a message.
LONGEST = 4000

FUNCTIONS = "abs bin bool complex divmod float hex int len max min oct pow round sum".split()


class Questions:
    """Random texts: expressions, most of them sound."""

    BINARY = "+ + + + - - - * * * / / / // // % % % ** ** << >> & | ^".split()
    COMPARISONS = "< <= > >= == !=".split()
    STRANGERS = "x y foo e inf nan Int math print π ªb ｘ １ⅷ _ _1 i1 j l O".split()
    KEYWORDS = "and or not if else for in is lambda None True False as class return async".split()
    FOREIGN = ["[1, 2]", "'a'", "1 .real", "{1}", "lambda: 1", "max(1, key=2)", "abs(x=1)", "..."]
    TIGHT = ["0xfor 1", "0777j", "1if 1else 2", "1or 2", "0b1and 0", "1_0if 0_0else 2.", "not-1"]
    TOKENS = (
        "0 1 2 7 1.5 .5 1e3 2j 0x1f 0b1 0o7 00 010 09.5 1__0 1_ 0x 0b2 0o8 1e 1.e5 1ee5 0xg 1.5.2"
        " + - * / // % ** << >> & | ^ ~ < <= > >= == != <> ( ) ( ) ( ) [ ] { } , , : ; = := -> @ ."
        " ... ! ? $ \\ ` ' \" # not and or if else is in lambda None True False x abs max( pow("
        " int( round( ) 's' \"s\" f'x' b'' ''' += -= **= //= >>= && || ++ -- =! ==="
        " × ÷ − ² ½ ٣ ５ é 😀"
    ).split()
    # Blanks and what looks so, control characters, and bytes that are no text.
    TOKENS += list(" \t\f\r\v\x1b\x00\x7f\u00a0\u3000\ufeff\udcff\udcc3")

    def __init__(self, key):
        self.random = random.Random(key)
        # What is between tokens, "*" for something else each time.
        self.gap = " "
        # No other numbers: among floats most bitwise operators are errors.
        self.integers_only = False

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def pick(self, *choices):
        """One of (weight, function or text)."""
        at = self.random.random() * sum(weight for weight, _ in choices)
        for weight, choice in choices:
            at -= weight
            if at < 0:
                break
        return choice if isinstance(choice, str) else choice()

    def one(self, sequence):
        return sequence[int(self.random.random() * len(sequence))]

    def below(self, end):
        return int(self.random.random() * end)

    def question(self):
        """One text, without a newline and not longer than LONGEST."""
        self.gap = self.pick((60, " "), (25, ""), (5, "  "), (2, "\t"), (2, " \f"), (6, "*"))
        self.integers_only = self.chance(35)
        depth = int(self.pick((60, "2"), (30, "3"), (9, "4"), (1, "6")))
        text = self.pick(
            (77, lambda: self.whole(depth)),
            (4, self.long_chain),
            (1, self.nest),
            (15, lambda: self.spoiled(self.whole(2))),
            (2, self.soup),
            (1, self.adjacent),
        )
        while len(text.encode("utf-8", "surrogateescape")) > LONGEST:
            text = text[: len(text) // 2]
        # A carriage return at the end belongs to the end of the line.
        return text.replace("\n", " ").rstrip("\r")

    def whole(self, depth):
        """An expression as it stands alone."""
        text = self.pick(
            (92, lambda: self.expression(depth)),
            (4, lambda: self.commas(depth - 1)),
            (2, lambda: self.call(depth)),
            (2, self.number),
        )
        if self.chance(4):
            text = self.one([" ", "  ", "\t", "\f", " \t ", " \f"]) + text
        if self.chance(3):
            text += self.one([" ", "\t", "\f", "   "])
        if self.chance(3):
            text += self.one(["#", " # ", "  #"])
            text += self.one(["", "1 + 1", ")", "é 'x", "(((", "#"])
        return text

    # Expressions

    def expression(self, depth):
        if depth <= 0:
            return self.operand()
        return self.pick(
            (40, lambda: self.binary(depth)),
            (9, lambda: self.unary(depth)),
            (10, lambda: self.comparison(depth)),
            (6, lambda: self.logic(depth)),
            (5, lambda: self.condition(depth)),
            (16, lambda: self.call(depth)),
            (6, lambda: "(" + self.around(self.expression(depth - 1)) + ")"),
            (3, lambda: self.tuple(depth)),
            (2, lambda: self.odd(depth)),
            (8, self.operand),
        )

    def operand(self):
        return self.pick(
            (94, self.number),
            (3, lambda: self.one(["True", "False"])),
            (1, lambda: self.one("(1e999-1e999) 1e999 -1e999 -0.0 None () abs".split())),
            (1, lambda: self.one(self.STRANGERS)),
            (1, lambda: "(%s)" % self.number()),
        )

    def space(self):
        if self.gap != "*":
            return self.gap
        return self.one(["", "", " ", "  ", "\t", "\f", " \t"])

    def around(self, text):
        return self.space() + text + self.space() if self.chance(10) else text

    def inner(self, depth):
        """An expression beside an operator: mostly in brackets, unless it is only an operand."""
        text = self.expression(depth)
        return "(" + text + ")" if depth > 0 and self.chance(55) else text

    def binary(self, depth):
        left, operator = self.inner(depth - 1), self.one(self.BINARY)
        # Most powers and shifts of anything by anything are too large to be asked.
        if operator in ("**", "<<", ">>") and self.chance(85):
            right = self.small(operator)
        else:
            right = self.inner(depth - 1)
        return left + self.space() + operator + self.space() + right

    def small(self, operator):
        """What an integer is raised to, or shifted by."""
        return self.pick(
            (50, lambda: str(self.below(12))),
            (20, lambda: str(self.below(100))),
            (5, lambda: str(self.below(2000))),
            (10, lambda: "-" + str(self.below(40))),
            (10, lambda: self.float() if operator == "**" else str(self.below(70))),
            (2, lambda: "(%s)" % self.imaginary() if operator == "**" else "True"),
            (2, lambda: "2**70"),
            (1, lambda: self.number()),
        )

    def unary(self, depth):
        count = self.pick((80, "1"), (15, "2"), (4, "5"), (1, "60"))
        signs = "".join(self.one("---++~") + self.one(["", "", "", " "]) for _ in range(int(count)))
        return signs + self.inner(depth - 1)

    def comparison(self, depth):
        text = self.inner(depth - 1)
        for _ in range(int(self.pick((70, "1"), (20, "2"), (8, "3"), (2, "6")))):
            other = self.near(text) if self.chance(20) else self.inner(depth - 1)
            text += self.space() + self.one(self.COMPARISONS) + self.space() + other
        return text

    def near(self, text):
        """Something equal to the text, or nearly so."""
        return self.one("%s (%s) float(%s) int(%s) (%s)+1 (%s)*1.0 -(%s)".split()) % text

    def words(self, *parts):
        """Joins with keywords between; a blank may be missing beside a digit or a bracket."""
        text = parts[0]
        for part in parts[1:]:
            tight = self.chance(15)
            needs = text[-1:].isalpha() or not tight
            if tight and (text[-1:].isdigit() or text[-1:] in ").") and part[:1].isalpha():
                needs = False
            if part[:1] in "(-+~ " and tight:
                needs = False
            text += (" " if needs else "") + part
        return text

    def logic(self, depth):
        if self.chance(25):
            return self.words("not", self.inner(depth - 1))
        text = self.inner(depth - 1)
        for _ in range(int(self.pick((75, "1"), (20, "2"), (5, "4")))):
            text = self.words(text, self.one(["and", "or"]), self.inner(depth - 1))
        return text

    def condition(self, depth):
        parts = [self.inner(depth - 1) for _ in range(3)]
        return self.words(parts[0], "if", parts[1], "else", parts[2])

    def commas(self, depth):
        count = int(self.pick((40, "1"), (40, "2"), (20, "4")))
        items = [self.expression(depth) for _ in range(count)]
        text = ("," + self.space()).join(items)
        return text + "," if len(items) == 1 or self.chance(10) else text

    def tuple(self, depth):
        display = "()" if self.chance(10) else "(" + self.commas(depth - 1) + ")"
        if self.chance(20):
            return display + self.one(["*", " * "]) + self.one("0 1 2 3 4 5 -1 True 2**64".split())
        if self.chance(15):
            return display + " + (" + self.commas(depth - 1) + ")"
        return display

    def odd(self, depth):
        """Calls of what cannot be called, names of nothing, strings of digits."""
        return self.pick(
            (20, lambda: self.number() + "(" + self.expression(depth - 1) + ")"),
            (20, lambda: self.one(self.STRANGERS) + "(" + self.expression(depth - 1) + ")"),
            (10, lambda: self.number() + "[" + self.expression(depth - 1) + "]"),
            (10, lambda: self.one(FUNCTIONS)),
            (10, lambda: "(" + self.one(FUNCTIONS) + ")(" + self.expression(depth - 1) + ")"),
            (20, lambda: self.one(["hex", "oct", "bin"]) + "(" + self.integer() + ")*3"),
            (5, lambda: self.one(self.FOREIGN)),
            (5, lambda: self.one(self.TIGHT)),
            (5, lambda: self.number() + self.one([" is ", " in ", " not in "]) + self.tuple(1)),
        )

    def call(self, depth):
        name = self.one(FUNCTIONS)
        if self.chance(6):
            arguments = [self.expression(depth - 1) for _ in range(self.below(5))]
        else:
            arguments = self.arguments(name, depth - 1)
        text = name + self.one(["", "", "", "", " "])
        last = "," if arguments and self.chance(3) else ""
        return text + "(" + self.around(("," + self.space()).join(arguments)) + last + ")"

    def arguments(self, name, depth):
        """Arguments that the function takes, and that often make sense."""

        def some(least, most):
            return [self.expression(depth) for _ in range(least + self.below(most - least + 1))]

        if name in ("hex", "oct", "bin"):
            return [self.integer() if self.chance(80) else self.expression(depth)]
        if name == "int" and self.chance(15):
            digits = self.one(["hex", "oct", "bin"]) + "(" + self.integer() + ")"
            return [digits, self.one(["0", "2", "8", "10", "16", "36", "37", "-1", "True", "2.0"])]
        if name == "pow" and self.chance(45):
            exponent = self.integer() if self.chance(60) else "-" + self.integer()
            return [self.integer(), exponent, self.one(["", "", "", "-"]) + self.integer()]
        if name == "pow":
            return [self.expression(depth), self.small("**")]
        if name == "round" and self.chance(60):
            places = self.pick(
                (70, lambda: str(self.below(24) - 4)),
                (10, lambda: str(self.below(700) - 350)),
                (10, "None"),
                (10, lambda: self.one(["True", "10**9", "-10**9", "2**70", "(1,)", self.number()])),
            )
            return [self.number() if self.chance(70) else self.expression(depth), places]
        if name in ("sum", "len") or name in ("min", "max") and self.chance(30):
            start = [self.expression(depth)] if name == "sum" and self.chance(15) else []
            return [self.tuple(depth + 1) if self.chance(85) else self.expression(depth)] + start
        if name in ("min", "max"):
            return some(2, 4)
        if name == "divmod":
            return some(2, 2)
        if name == "complex":
            return some(0 if self.chance(10) else 1, 2)
        if name in ("int", "float", "bool"):
            return some(0 if self.chance(10) else 1, 1)
        return some(1, 1)

    def long_chain(self):
        """Many operators of the same few kinds, without brackets."""
        all_operators = self.BINARY + self.COMPARISONS + ["and", "or"]
        operators = [self.one(all_operators) for _ in range(1 + self.below(3))]
        gap = self.one(["", " "])
        text = self.number()
        for _ in range(3 + self.below(self.one([5, 20, 60]))):
            operator = self.one(operators)
            blank = " " if operator.isalpha() else gap
            operand = str(self.below(30)) if self.chance(80) else self.number()
            text += blank + operator + blank + operand
        return text

    def nest(self):
        """Brackets in brackets, some of them too many."""
        count = self.one([5, 20, 50, 90, 199, 200, 201])
        close = count if self.chance(80) else self.below(count + 5)
        return "(" * count + self.number() + self.one([")", ")", ")", ",)"]) * close

    def adjacent(self):
        """Two expressions side by side, alone or in brackets."""
        text = self.expression(1) + self.one([" ", "  ", ""]) + self.expression(1)
        return text if self.chance(50) else self.one(["(", "(1, ", "max(", "(1 + "]) + text + ")"

    # Numbers

    # Bits of machine words, of floats, of the digits that Python's integers are made of.
    BORDERS = [8, 15, 16, 30, 31, 32, 53, 60, 62, 63, 64, 65, 90, 127, 128]
    FLOATS = (
        "1e15 1e16 1e17 9999999999999998.0 1e-4 1e-5 0.0001 0.00001 1e22 1e23 5e-324 2e-324 3e-324"
        " 1e-400 1e400 1.7976931348623157e308 1.8e308 2.2250738585072014e-308 0.0 0.5 1.5 2.5 0.1"
        " 0.2 0.3 1e308 9.5e15 1e0 09.5 1_0.5e1_0 0_1.5 00.0 1_0. 0e0 1.e1 1E5 1e+5"
    ).split()

    def number(self):
        if self.integers_only:
            return self.integer()
        return self.pick((55, self.integer), (37, self.float), (8, self.imaginary))

    def digits(self, count):
        return "".join(self.one("0123456789") for _ in range(count))

    def decimal(self, count):
        return (self.one("123456789") + self.digits(count))[:count]

    def grouped(self, digits):
        """Perhaps with underscores between the digits."""
        if len(digits) < 2 or not self.chance(4):
            return digits
        at = 1 + self.below(len(digits) - 1)
        return digits[:at] + "_" + digits[at:]

    def integer(self):
        return self.pick(
            (45, lambda: str(self.below(11))),
            (20, lambda: str(self.below(1000))),
            (5, lambda: self.grouped(self.decimal(1 + self.below(8)))),
            (6, lambda: self.grouped(self.decimal(8 + self.below(14)))),
            (5, lambda: self.decimal(20 + self.below(60))),
            (1, lambda: self.decimal(100 + self.below(250))),
            (0.1, lambda: self.decimal(1000 + self.below(1800))),
            (6, lambda: str((1 << self.one(self.BORDERS)) + self.below(5) - 2)),
            (3, lambda: str(10 ** self.below(25) + self.below(3) - 1)),
            (2, lambda: self.one("(2**53+1) (2**1024) (2**1023) (10**400) 10**16 3**200".split())),
            (1, lambda: self.one(["00", "0_0", "000", "1_000"])),
            (6, self.based),
        )

    def based(self):
        prefix = self.one(["0x", "0o", "0b"])
        digits = {"0x": "0123456789abcdefABCDEF", "0o": "01234567", "0b": "01"}[prefix]
        if self.chance(20):
            prefix = prefix.upper()
        if self.chance(5):
            prefix += "_"
        count = 1 + self.below(self.one([3, 8, 20, 80]))
        return prefix + self.grouped("".join(self.one(digits) for _ in range(count)))

    def float(self):
        return self.pick(
            (25, lambda: self.digits(1) + "." + self.digits(1 + self.below(3))),
            (8, lambda: str(self.below(1000)) + "." + self.one(["0", "5", "25", "", "125"])),
            (5, lambda: "." + self.digits(1 + self.below(4))),
            (10, lambda: self.decimal(1 + self.below(4)) + self.exponent(25)),
            (8, lambda: "1." + self.digits(1 + self.below(17)) + self.exponent(320)),
            (8, lambda: self.decimal(1 + self.below(20)) + "." + self.digits(self.below(20))),
            (8, lambda: repr(self.random.random() * 10.0 ** (self.below(40) - 20))),
            (8, self.any_bits),
            (5, self.few_bits),
            (5, lambda: str((1 << 53) + self.below(999)) + self.one([".5", ".0", "e0", ".49"])),
            (6, lambda: self.one(self.FLOATS)),
        )

    def few_bits(self):
        """A short binary fraction: these lie between two shortest decimals more often."""
        bits = 1 + self.below(1 << self.one([3, 20, 53]))
        return repr(math.ldexp(bits, self.below(2000) - 1060))

    def exponent(self, range_):
        return self.one("eeE") + self.one(["", "", "+", "-", "-"]) + str(self.below(range_))

    def any_bits(self):
        fraction, power = self.random.random(), self.below(2040) - 1060
        text = repr(math.ldexp(0.5 + fraction / 2, power))
        return text if self.chance(70) else text.replace("e", "E")

    def imaginary(self):
        number = self.float() if self.chance(45) else str(self.below(20))
        return number + self.one("jjjJ")

    # What is not sound

    def spoiled(self, text):
        for _ in range(int(self.pick((75, "1"), (18, "2"), (7, "4")))):
            text = self.spoil(text)
        return text

    def spoil(self, text):
        at = self.below(len(text) + 1)
        before, after = text[:at], text[at:]
        return self.pick(
            (20, lambda: before + after[1:]),
            (10, lambda: before + after[:1] + after),
            (20, lambda: before + self.one("0123456789+-*/%().,<>=!&|^~ _ejxbo#'\"[]:") + after),
            (15, lambda: before + self.one(self.TOKENS) + after),
            (5, lambda: before + " " + self.one(self.KEYWORDS) + " " + after),
            (10, lambda: before + after[1:2] + after[:1] + after[2:]),
            (8, lambda: before),
            (2, lambda: after),
            (5, lambda: before + "()"[self.below(2)] + after),
            (5, lambda: before + after.replace(self.one("()+*,"), "", 1)),
        )

    def soup(self):
        gap = self.one(["", " "])
        return gap.join(self.one(self.TOKENS) for _ in range(self.below(9)))
