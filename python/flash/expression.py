# Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sizes as formulas, as manifests have them.

    expr   := term (('+' | '-') term)*
    term   := factor ('*' factor)*
    factor := integer | name | '(' expr ')' | '-' factor
            | ('ceildiv' | 'floordiv' | 'min' | 'max') '(' expr ',' expr ')'

All arithmetic is on signed 64-bit integers: what overflows them, and division
by a number below 1, is an error. include/flash/Runtime/Expression.h says the
same.
"""

import re

from .errors import PackageError

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(.))")
_LIMIT = 1 << 63
_MAX_DEPTH = 64


def _divide(what, a, b):
    if b < 1:
        raise PackageError(f"{what}: expected a divisor of at least 1, got {b}")
    return -(-a // b) if what == "ceildiv" else a // b


_FUNCTIONS = {
    "ceildiv": lambda a, b: _divide("ceildiv", a, b),
    "floordiv": lambda a, b: _divide("floordiv", a, b),
    "min": min,
    "max": max,
}


class _Parser:
    def __init__(self, text, sizes):
        self.text = text
        self.sizes = sizes
        self.tokens = [
            (m.group(1) or m.group(2) or m.group(3), m.end() - len(m.group().strip()))
            for m in _TOKEN.finditer(text)
            if m.group().strip()
        ]
        self.at = 0
        self.depth = 0

    def fail(self, expected):
        token, column = self.peek()
        raise PackageError(
            f"'{self.text}': column {column + 1}: expected {expected}, got "
            + (f"'{token}'" if token else "the end")
        )

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", len(self.text))

    def take(self, *wanted):
        token, _ = self.peek()
        if token and token in wanted:
            self.at += 1
            return token
        return None

    def expect(self, token):
        if not self.take(token):
            self.fail(f"'{token}'")

    def checked(self, value):
        if not -_LIMIT <= value < _LIMIT:
            raise PackageError(f"'{self.text}': expected 64-bit integers, got overflow")
        return value

    def expr(self):
        value = self.term()
        while sign := self.take("+", "-"):
            other = self.term()
            value = self.checked(value + other if sign == "+" else value - other)
        return value

    def term(self):
        value = self.factor()
        while self.take("*"):
            value = self.checked(value * self.factor())
        return value

    def factor(self):
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.fail(f"at most {_MAX_DEPTH} levels of nesting")
        value = self.nested()
        self.depth -= 1
        return value

    def nested(self):
        token, _ = self.peek()
        if self.take("-"):
            return self.checked(-self.factor())
        if self.take("("):
            value = self.expr()
            self.expect(")")
            return value
        if token.isdigit():
            self.at += 1
            return self.checked(int(token))
        if token in _FUNCTIONS:
            self.at += 1
            self.expect("(")
            first = self.expr()
            self.expect(",")
            second = self.expr()
            self.expect(")")
            return self.checked(_FUNCTIONS[token](first, second))
        if token not in self.sizes:
            self.fail("a number, a size, '(' or a function")
        self.at += 1
        return self.sizes[token]


def evaluate(text, sizes):
    """The value of `text` where `sizes` maps b, hq, hkv, sq, sk, d and dv."""
    parser = _Parser(text, sizes)
    value = parser.expr()
    if parser.peek()[0]:
        parser.fail("an operator or the end")
    return value
