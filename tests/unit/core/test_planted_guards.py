"""Negative controls of the core: canonical integers, and the exact type test of the engine."""

import pytest

from gate.core.policy.engine import ERROR, Environment
from gate.core.policy.expressions import CONFIG
from gate.core.wire.reader import WireError
from gate.core.wire.request import read_request
from tests.builders import a_request
from tests.planted import planted


def test_without_the_shortest_form_two_byte_strings_are_one_request() -> None:
    good = a_request()
    overlong = good[:10] + bytes([good[10] | 0x80, 0x00]) + good[11:]
    with pytest.raises(WireError):
        read_request(overlong)
    with planted("gate.core.wire.reader", "        if byte == 0:\n", "        if False:\n"):
        assert read_request(overlong).audience == read_request(good).audience


def test_without_the_exact_type_test_an_error_is_a_truthy_text() -> None:
    erring = Environment(CONFIG, {"n": "int"}).compile("n / 0 == 1")
    assert erring.evaluate({"n": 1}) is ERROR
    guards = (
        "            if not self.type or value.type() != self._engine_type:\n"
        "                return ERROR\n"
        "            result = value.plain_value()\n"
        "        except _RAISED:\n"
        "            return ERROR\n"
        "        if type(result) is not self._python_type:\n"
    )
    bare = (
        "            result = value.plain_value()\n"
        "        except _RAISED:\n"
        "            return ERROR\n"
        "        if False:\n"
    )
    with planted("gate.core.policy.engine", guards, bare):
        found = erring.evaluate({"n": 1})
    assert found is not ERROR
    assert isinstance(found, str)
    assert found
