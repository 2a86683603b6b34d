"""The YAML of registry files: which words are values, what is refused, and where everything stands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from ssliqa_bench.errors import InputError, RegistryError
from ssliqa_bench.registry.load import data_folder
from ssliqa_bench.registry.yamlfile import parse_assignments, parse_yaml, read_yaml


def value_of(text: str) -> object:
    document = parse_yaml(f"key: {text}", "some.yaml")
    assert not document.problems
    return document.value["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("null", None),
        ("0", 0), ("-7", -7), ("12", 12), ("1e-4", 1e-4), ("2E+3", 2000.0), ("0.5", 0.5), ("-1.25e2", -125.0),
    ],
)  # fmt: skip
def test_words_that_are_values(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "True", "FALSE", "~", "Null", "NULL", "1:3", "12:30:45", "koniq:livec", "0x1F", "0o17",
     "017", "1_000", ".5", "5.", "+1", ".inf", "-.inf", ".nan", "nan", "1e", "2024-01-31", "1.2.3", "=", "<<", "y"],
)
def test_everything_else_is_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize("text", ["'true'", '"1"', "'null'", '"1e-4"', "''"])
def test_quoted_words_are_text(text: str) -> None:
    assert value_of(text) == text[1:-1]


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\n\té中"), max_size=20)


@hypothesis.given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
))
def test_json_reads_as_json_does(value: object) -> None:
    document = parse_yaml(json.dumps(value), "some.json")
    assert not document.problems
    assert document.value == value


def test_lines_of_keys_and_list_items() -> None:
    text = "# head\nmethods:\n  a:\n    params: {lr: 1,\n             k: 2}\n    list:\n    - x\n    - y\n"
    document = parse_yaml(text, "f")
    assert document.lines == {
        (): 2, ("methods",): 2, ("methods", "a"): 3, ("methods", "a", "params"): 4,
        ("methods", "a", "params", "lr"): 4, ("methods", "a", "params", "k"): 5,
        ("methods", "a", "list"): 6, ("methods", "a", "list", 0): 7, ("methods", "a", "list", 1): 8,
    }  # fmt: skip
    assert document.place(("methods", "a", "no", "such")) == ("f", 3)


def test_a_key_twice_is_a_problem_with_both_lines() -> None:
    document = parse_yaml("a:\n  lr: 1\n  k: 2\n  lr: 3\n", "f.yaml")
    assert [str(p) for p in document.problems] == [
        "f.yaml:4 a.lr: got the key a second time (first in line 2); expected each key once."
    ]


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("a: &x [1]\nb: *x\n", 2, "an alias"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "the tag"),
        ("a:\nb: 1\n", 1, "nothing"),
        ("a: 1e999\n", 1, "1e999"),
        ("k:\n  ? [1, 2]\n  : x\n", 2, "a key that is a list"),
    ],
)
def test_refused_with_the_line(text: str, line: int, got: str) -> None:
    problems = parse_yaml(text, "f.yaml").problems
    assert len(problems) == 1
    assert str(problems[0]).startswith(f"f.yaml:{line} ")
    assert got in str(problems[0])


@pytest.mark.parametrize(
    "text", ["a: [1\nb: 2\n", "a: b: c\n", "\tx: 1", "a: 'open\n", "a: 1\n---\nb: 2\n", "a: @x\n", "a: \x07"]
)
def test_what_is_no_yaml_is_one_registry_error(text: str) -> None:
    with pytest.raises(RegistryError, match=r"^f\.yaml(:\d+)?: not readable as YAML: "):
        parse_yaml(text, "f.yaml")


@pytest.mark.parametrize("text", ["a:\n  " + "[" * 40 + "]" * 40, "a:\n  " + "[" * 100_000, "a:\n  " + "{b: " * 3000])
def test_nesting_ends_in_an_error_and_not_in_the_process(text: str) -> None:
    with pytest.raises(RegistryError, match=r"^f\.yaml:2: nested too deep"):
        parse_yaml(text, "f.yaml")


def test_the_parser_in_python_reads_as_the_one_in_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    file = data_folder() / "registry.yaml"
    fast = read_yaml(file)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert read_yaml(file) == fast


def test_files_of_every_kind(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n")
    document = read_yaml(file)
    assert document.value == {"a": 1, "b": "é"}
    assert document.lines["b",] == 2
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(RegistryError, match=r"mine\.yaml:2: got a byte that is not UTF-8"):
        read_yaml(file)
    with pytest.raises(RegistryError, match=r"absent\.yaml: no such file"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(RegistryError, match="expected a YAML file"):
        read_yaml(tmp_path)


def test_assignments_follow_the_same_rules() -> None:
    given = ["lr=1e-4", "pretrained=false", "krr_gamma=null", "backbone=timm:vit", "ratio=1:3", "sizes=[1, 2.5, x]",
             "name='7'", "formula=a=b"]
    assert parse_assignments(given) == {
        "lr": 1e-4, "pretrained": False, "krr_gamma": None, "backbone": "timm:vit", "ratio": "1:3",
        "sizes": [1, 2.5, "x"], "name": "7", "formula": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize("given", ["lr", "=1", "lr=", " =2", "lr=[1", "lr={a: 1}", "lr=a: 1", "lr=1e999", "lr=!!int 3"])
def test_bad_assignments(given: str) -> None:
    with pytest.raises(InputError, match="--set"):
        parse_assignments([given])


def test_an_assignment_twice() -> None:
    with pytest.raises(InputError, match="--set lr: given twice"):
        parse_assignments(["lr=1", "k=2", "lr=3"])


@hypothesis.given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_written_by_json_is_read_back(number: float) -> None:
    found = parse_assignments([f"x={json.dumps(number)}"])["x"]
    assert math.copysign(1, found) == math.copysign(1, number)
    assert found == number
