"""Operators of other languages have a hint, unless they stand in a text."""

import pytest

from gate.authoring.operators import operator_hint


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("request.a = 3", "write `==` instead of `=`"),
        ("request.a > 3 and request.b", "write `&&` instead of `and`"),
        ("request.a OR request.b", "write `||` instead of `or`"),
        ("not request.a", "write `!` instead of `not`"),
        ("not request.a = 3", "write `!` instead of `not`"),
        ("request.a == 3 && request.b != 4 || request.c <= 5 && request.d >= 6", ""),
        ('request.a == "this and that = not or"', ""),
        ("request.a == 'it\\'s = that'", ""),
        ("request.android && request.order", ""),
    ],
)
def test_the_first_foreign_operator_has_its_hint(expression, hint):
    assert operator_hint(expression) == hint
