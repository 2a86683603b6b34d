"""Only what a program does counts: the same tokens for the same program, whatever is written around it."""

from __future__ import annotations

import pytest

from ssliqa_bench.runner.tokens import ParsedSource

SOURCE = '''\
import math
from logging import getLogger

_log = getLogger("x")


class Loss:
    weight = 0.5
    names = ("a", "b")

    def __call__(self, a, b, report):
        if a > b:
            return self.weight * math.fabs(a - b)
        if a != a:
            raise ValueError(f"not a number: {a!r}" "; see " + str(b))
        _log.warning("a is %s", a)
        report.say(f"{a} of {b}")
        report.note("kept")
        return f"{a!r:>{b}}" + "text"
'''


def counted(text: str) -> list[object]:
    """Everything that counts, without the rows and columns where it stands."""
    return [(line.depth, [token for _, token in line.tokens], line.imports) for line in ParsedSource(text).lines]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import math", "# why\nimport math  # and how"),
        ("import math", '"""What the module is."""\nimport math'),
        ("class Loss:", 'class Loss:\n    """A loss.\n\n    Of some length."""\n'),
        ("        if a > b:", "        'What it does.'\n\n        if a > b:  # larger"),
        ("    def", "\n\n    def"),
        ("(self, a, b, report)", "(\n        self,\n        a, b, report,\n    )"),
        ("self.weight * math.fabs(a - b)", "self.weight*math.fabs(a-b)"),
        ("math.fabs(a - b)", "math.fabs(\n                a - b,\n            )"),
        ('("a", "b")', "('a', 'b',)"),
        ('"text"', "'text'"),
        ('"text"', 'u"te" "xt"'),
        ('"text"', '"""text"""'),
        ("    ", "\t"),
        ("\n", "\r\n"),
        ("not a number: {a!r}", "{a} is no number"),
        ('"; see "', '"; look at "'),
        ('"a is %s"', '"a was %s"'),
        ("{a} of {b}", "{a} ({b} in all)"),
        ('"x")', '"x")  # ä'),
    ],
)
def test_what_does_nothing_does_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert counted(SOURCE.replace(old, new)) == counted(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.50001"),
        ("a > b", "a >= b"),
        ("weight", "width"),
        ("fabs", "sqrt"),
        ('"text"', '"Text"'),
        ('"text"', '"text # no comment"'),
        ('"text"', 'b"text"'),
        ('("a", "b")', '("a",)'),
        ("!r:", "!s:"),
        (":>{b}", ":<{b}"),
        ("            return self", "            pass\n        return self"),
        ("ValueError", "TypeError"),
        ("str(b)", "str(a)"),
        ('_log.warning("a is %s", a)', '_log.warning("a is %s", next(a))'),
        ('"{a} of {b}"', '"{a} of {next(b)}"'),
        ('"kept"', '"Kept"'),
        ('getLogger("x")', 'getLogger("y")'),
    ],
)
def test_every_token_counts(old: str, new: str) -> None:
    assert old in SOURCE
    assert counted(SOURCE.replace(old, new)) != counted(SOURCE)


def test_a_string_that_is_no_docstring_counts() -> None:
    assert counted("x = 1\n'one'\n") != counted("x = 1\n'two'\n")
    assert counted("def f():\n    return 'one'\n") != counted("def f():\n    return 'two'\n")


@pytest.mark.parametrize("call", ["print", "warnings.warn", "report.start", "report.note", "log", "store.log", "x.say"])
def test_strings_in_other_calls_count(call: str) -> None:
    assert counted(f"{call}('one')\n") != counted(f"{call}('two')\n")


@pytest.mark.parametrize("call", ["_log.info", "logging.error", "self.logger.debug", "context.report.say"])
def test_strings_in_messages_do_not(call: str) -> None:
    assert counted(f"{call}('one', x)\n") == counted(f"{call}('two', x)\n") != counted(f"{call}('one', y)\n")


@pytest.mark.parametrize("message", ["'one' + x", "'one' if x else y", "*('a', x) if x else 'one'", "f'one {x}'"])
def test_parts_of_a_message_do_not_count(message: str) -> None:
    assert counted(f"_log.info({message})\n") == counted(f"_log.info({message.replace('one', 'two')})\n")


@pytest.mark.parametrize("argument", ["x('one')", "x(a='one')", "y['one']", "x.y(['one'])", "'%s' % x('one')"])
def test_what_a_message_executes_counts(argument: str) -> None:
    call = f"_log.info('it is %s', {argument})\n"
    assert counted(call) != counted(call.replace("one", "two"))
    assert counted(call) == counted(call.replace("it is", "that is"))
    raised = f"raise ValueError({argument})\n"
    assert counted(raised) == counted(raised.replace("one", "two"))  # there is no result


def test_one_comma_makes_a_tuple() -> None:
    assert counted("x = (1,)\n") != counted("x = (1)\n")
    assert counted("x = f((1,))\n") != counted("x = f((1))\n")
    assert counted("x = y[1,]\n") != counted("x = y[1]\n")
    assert counted("x = [1,]\n") == counted("x = [1]\n")
    assert counted("x = (1, 2,)\n") == counted("x = (1, 2)\n")


def test_the_blocks_that_indentation_makes_count() -> None:
    one = "if a:\n    b()\n    c()\n"
    assert counted(one) != counted("if a:\n    b()\nc()\n")
    assert counted("x = a\n@d\ndef f(): ...\n") != counted("x = a @ d\ndef f(): ...\n")


def test_what_only_type_checkers_read_does_not_count() -> None:
    plain = "from typing import TYPE_CHECKING\nx = 1\n"
    block = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n    from b import c\nx = 1\n"
    assert counted(block) == counted(plain)
    other = block.replace("x = 1", "else:\n    import d\nx = 1")
    assert counted(other) != counted(plain)
    assert [taken.module for taken in ParsedSource(other).imports] == ["typing", "d"]
    executed = ParsedSource(block.replace("if TYPE", "if not TYPE"))
    assert [taken.module for taken in executed.imports] == ["typing", "a", "b"]


def test_imports_are_found_wherever_they_stand() -> None:
    text = ("import a.b, c as d\nfrom . import e\nfrom ..f import (g as h, i)\n"
            "def run():\n    from j import k\n    if k: import m\n")
    found = [(taken.level, taken.module, taken.name, taken.bound) for taken in ParsedSource(text).imports]
    assert found == [(0, "a.b", None, ""), (0, "c", None, "d"), (1, "", "e", "e"), (2, "f", "g", "h"),
                     (2, "f", "i", "i"), (0, "j", "k", "k"), (0, "m", None, "")]


def test_the_last_definition_of_a_name_is_meant() -> None:
    text = "def f(): return 1\ntry:\n    import x\nexcept ImportError:\n    def f(): return 2\ng = f\ng: int = 3\n"
    source = ParsedSource(text)
    (line,) = source.within(source.definition("f"))  # type: ignore[arg-type]
    assert [token for _, token in line.tokens] == ["def", "(", ")", ":", "return", "2"] and line.depth == 0
    (line,) = source.within(source.definition("g"))  # type: ignore[arg-type]
    assert [token for _, token in line.tokens] == [":", "int", "=", "3"]
    assert source.definition("x") is None


def test_a_definition_has_its_decorators_and_not_its_name() -> None:
    def tokens(text: str, name: str) -> list[list[str]]:
        source = ParsedSource(text)
        return [[token for _, token in line.tokens] for line in source.within(source.definition(name))]  # type: ignore[arg-type]

    text = "@deco(1)\n# why\ndef f(a):\n    return f(a)\n\nasync def g(): ...\n"
    assert [" ".join(line) for line in tokens(text, "f")] == ["@ deco ( 1 )", "def ( a ) :", "return f ( a )"]
    assert [" ".join(line) for line in tokens(text, "g")] == ["async def ( ) : ..."]


@pytest.mark.parametrize("column", ["é", "日本", "a"])
def test_positions_are_those_of_characters(column: str) -> None:
    """Syntax trees count bytes, tokens count characters."""
    text = f'x = "{column}" + f(y, _log.info("one", "{column}"))\n'
    assert counted(text) == counted(text.replace('"one"', '"two"')) != counted(text.replace("f(y", "g(y"))
