"""What this Python answers to a text, in bounded time and memory."""

import ast
import builtins
import operator
import re
import sys
import unicodedata

from comparison.questions import FUNCTIONS

# From 3.11.4 on, the texts of errors are those that we have, also for NUL and long integers.
TEXTS = (3, 11, 4) <= sys.version_info[:3] < (3, 12)

# Python computes whatever it is asked, so that what is asked must be bounded: bits of an integer,
# products of 64-bit limbs of one question, elements of its tuples, characters of a string and of an
# answer. Each is well below the calculator's own limit, so that within them it answers as Python.
BITS = 100_000
WORK = 1 << 21
ELEMENTS = 4_000
CHARACTERS = 10_000
ANSWER = 60_000

NAMES = {name: getattr(builtins, name) for name in FUNCTIONS}

OWN = (ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp,
       ast.Tuple, ast.Call, ast.Name, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Load)
OTHER_OPERATORS = (ast.MatMult, ast.Is, ast.IsNot, ast.In, ast.NotIn)


class TooLarge(Exception):
    """It would take Python too long, or is beyond what the calculator promises."""


class Foreign(Exception):
    """Python, but not of the calculator's language."""


class Answer:
    """What Python says to a text: a value's text, or the class and the text of an error.

    kind is "value", "error", "syntax error"; "not UTF-8"; "foreign" if only Python has an answer;
    "unknown" if it was not asked. may_refuse: not all of the text is of the calculator's language.
    """

    def __init__(self, kind, text="", name="", may_refuse=False):
        self.kind, self.text, self.name, self.may_refuse = kind, text, name, may_refuse

    @classmethod
    def of_error(cls, error, may_refuse=False):
        if not isinstance(error, SyntaxError):
            return cls("error", str(error), type(error).__name__, may_refuse)
        # Which kind of syntax error it is differs between versions.
        is_indentation = isinstance(error, IndentationError) and TEXTS
        name = "IndentationError" if is_indentation else "SyntaxError"
        return cls("syntax error", str(error), name, may_refuse)


def answer(text):
    """What str(eval(text)) comes to; bytes that are no text stand in it as lone surrogates."""
    if varies(text):
        return Answer("unknown")
    try:
        text.encode()
    except UnicodeEncodeError:
        # No text. Only the class of the error is compared.
        return Answer("not UTF-8", name="SyntaxError")
    try:
        # As eval does it.
        source = text.lstrip(" \t")
        tree = ast.parse(source, "<string>", "eval")
        may_refuse = not all(map(is_own, ast.walk(tree)))
        # From the source again, because a tree made by hand could hold more, and is checked for it.
        code = compile(source, "<string>", "eval")
    except (MemoryError, RecursionError):
        return Answer("unknown")
    except SyntaxError as error:
        return Answer.of_error(error)
    except ValueError as error:
        # How NUL is refused until 3.11.3.
        return Answer("syntax error", str(error), "SyntaxError")
    try:
        if may_refuse or may_grow(text):
            Guard().value(tree)
    except Foreign:
        return Answer("foreign", may_refuse=True)
    except (TooLarge, MemoryError, RecursionError):
        return Answer("unknown")
    except Exception:  # As eval is about to raise it.
        pass
    return evaluated(code, may_refuse)


def evaluated(code, may_refuse):
    """The answer to a text that is known to be harmless."""
    # It clears C's errno, which abs(complex) with a NaN would take for an overflow of its own.
    abs(1j)
    try:
        # A client would wait forever for an empty reply, so ours is in quotes.
        value = str(eval(code, dict(NAMES, __builtins__={}))) or "''"
    except (MemoryError, RecursionError):
        return Answer("unknown")
    except Exception as error:  # Whatever it is, it is the answer.
        return Answer.of_error(error, may_refuse)
    has_limit = hasattr(sys, "set_int_max_str_digits")
    if len(value) > ANSWER or not has_limit and re.search(r"\d{4301}", value):
        return Answer("unknown")
    return Answer("value", value, may_refuse=may_refuse)


def is_own(node):
    """Whether a node belongs to the language."""
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, (int, float, complex))
    if isinstance(node, ast.Call):
        return not node.keywords
    return isinstance(node, OWN) and not isinstance(node, OTHER_OPERATORS)


def may_grow(text):
    """Whether a value could be longer than the text makes it by itself."""
    if any(word in text for word in ("**", "<<", "pow", "round")) or not text.isascii():
        return True
    return ("*" in text or "sum" in text) and ("," in text or "(" in text)


def varies(text):
    """Whether the answer depends on the version of Python, or on how it is asked."""
    if "__builtins__" in text or "__debug__" in text:
        return True
    if sys.version_info >= (3, 12) and "sum" in text and re.search(r"[.eEjJ/]|\*\*", text):
        # Sums of floats are more exact since 3.12.
        return True
    if sys.version_info < (3, 9) and text.count("(") > 80:
        # Deeper brackets are too much for the parser until 3.8, and it says so on stderr.
        return True
    # Characters that a later Unicode has.
    return any(unicodedata.category(character) == "Cn" for character in text)


def limbs(value):
    return value.bit_length() // 64 + 1


def are_integers(values):
    return all(isinstance(value, int) for value in values)


class Guard:
    """Evaluates a tree step by step, and gives up before a step that is too large."""

    UNARY = {ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Invert: operator.invert,
             ast.Not: operator.not_}
    BINARY = {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
        ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
        ast.Pow: operator.pow, ast.LShift: operator.lshift, ast.RShift: operator.rshift,
        ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
        ast.MatMult: operator.matmul,
    }
    COMPARE = {
        ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
        ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.In: lambda a, b: a in b,
        ast.NotIn: lambda a, b: a not in b,
    }

    def __init__(self):
        self.work = self.elements = 0

    def value(self, node):
        method = getattr(self, "of_" + type(node).__name__.lower(), None)
        if method is None:
            raise Foreign()
        return self.weighed(method(node))

    def weighed(self, value):
        """The value, if it is not too large already."""
        if isinstance(value, int) and value.bit_length() > BITS:
            raise TooLarge()
        if isinstance(value, str) and len(value) > CHARACTERS:
            raise TooLarge()
        if isinstance(value, tuple):
            self.count(value)
        return value

    def count(self, items):
        self.elements += len(items)
        if self.elements > ELEMENTS:
            raise TooLarge()
        for item in items:
            if isinstance(item, tuple):
                self.count(item)

    def pay(self, work):
        self.work += work
        if self.work > WORK:
            raise TooLarge()

    def of_expression(self, node):
        return self.value(node.body)

    def of_constant(self, node):
        if isinstance(node.value, (str, bytes)):
            raise Foreign()
        return node.value

    def of_name(self, node):
        if node.id not in NAMES:
            raise NameError(node.id)
        return NAMES[node.id]

    def of_tuple(self, node):
        return tuple([self.value(item) for item in node.elts])

    def of_unaryop(self, node):
        return self.UNARY[type(node.op)](self.value(node.operand))

    def of_boolop(self, node):
        for item in node.values:
            value = self.value(item)
            if bool(value) == isinstance(node.op, ast.Or):
                break
        return value

    def of_ifexp(self, node):
        return self.value(node.body if self.value(node.test) else node.orelse)

    def of_compare(self, node):
        left = self.value(node.left)
        for sign, item in zip(node.ops, node.comparators):
            right = self.value(item)
            if type(sign) not in self.COMPARE:
                # Which equal values are the same object is for each Python to say.
                raise TooLarge()
            value = self.COMPARE[type(sign)](left, right)
            if not value:
                break
            left = right
        return value

    def of_subscript(self, node):
        value = self.value(node.value)
        self.value(node.slice)
        if isinstance(value, (tuple, str, type)):
            raise Foreign()
        raise TypeError()

    def of_attribute(self, node):
        self.value(node.value)
        raise Foreign()

    def of_list(self, node):
        for item in node.elts:
            self.value(item)
        raise Foreign()

    def of_index(self, node):
        """What Python 3.8 has between a subscript and its index."""
        return self.value(node.value)

    def of_binop(self, node):
        left, right = self.value(node.left), self.value(node.right)
        self.weigh(node.op, left, right)
        return self.BINARY[type(node.op)](left, right)

    def weigh(self, sign, left, right):
        """Gives up before a binary operation that is too large."""
        if isinstance(sign, ast.BitOr):
            # A union of types, in some versions of Python.
            if all(value is None or isinstance(value, type) for value in (left, right)):
                raise Foreign()
        if isinstance(sign, ast.Mult):
            self.weigh_repetition(left, right)
            self.weigh_repetition(right, left)
        if not are_integers((left, right)):
            return
        if isinstance(sign, ast.Pow):
            if right > 1 and abs(left) > 1:
                if left.bit_length() * right > BITS:
                    raise TooLarge()
                self.pay((left.bit_length() * right // 64 + 1) ** 2)
        elif isinstance(sign, ast.LShift):
            # Further than this, Python refuses at once.
            if left and right > BITS and right.bit_length() < 70:
                raise TooLarge()
        elif not isinstance(sign, ast.RShift):
            self.pay(limbs(left) * limbs(right))

    def weigh_repetition(self, sequence, times):
        if isinstance(sequence, (tuple, str)) and isinstance(times, int):
            # Further than this, Python refuses at once.
            if len(sequence) * times > ELEMENTS and times < 1 << 63:
                raise TooLarge()

    def of_call(self, node):
        function = self.value(node.func)
        values = [self.value(item) for item in node.args]
        for keyword in node.keywords:
            self.value(keyword.value)
        if not callable(function):
            raise TypeError()
        if node.keywords:
            raise Foreign()
        if function is pow and len(values) == 2:
            self.weigh(ast.Pow(), *values)
        if function is divmod and len(values) == 2:
            self.weigh(ast.FloorDiv(), *values)
        if function is pow and len(values) == 3 and are_integers(values):
            self.pay(3 * limbs(values[2]) ** 2 * (values[1].bit_length() + 1))
        if function is round and len(values) == 2 and are_integers(values):
            # Python divides by this power of ten.
            if values[1] < -BITS // 4:
                raise TooLarge()
        return function(*values)
