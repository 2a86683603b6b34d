from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from ssliqa_bench import errors

PACKAGE = Path(errors.__file__).parent


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("RunError", "StorageError", "CheckError", "SsliqaError"), 1),
        (("InputError", "RegistryError", "DataError", "LeakError", "CorruptFileError", "SchemaError"), 2),
    ],
)
def test_exit_codes_tell_a_failure_from_bad_input(names: tuple[str, ...], code: int) -> None:
    assert [getattr(errors, name)("x").exit_code for name in names] == [code] * len(names)


def test_one_family_catches_all() -> None:
    own = [thing for _, thing in inspect.getmembers(errors, inspect.isclass) if thing.__module__ == errors.__name__]
    assert len(own) == 11 and all(issubclass(thing, errors.SsliqaError) and thing.__doc__ for thing in own)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ssiqua", "Did you mean 'ssiqa'"), ("SSIQA", ""), ("oracel", "Did you mean 'oracle'?"), ("zzz", ""), ("", "")],
)
def test_an_unknown_name_gets_the_nearest_and_the_command_that_lists_all(name: str, hint: str) -> None:
    error = errors.unknown_name("method", name, ["ssiqa", "ssiqa-il", "oracle"], "ssliqa-bench list methods")
    text = str(error)
    assert text.startswith(f'Unknown method "{name}".') and '"ssliqa-bench list methods" shows all 3.' in text
    assert hint in text and ("Did you mean" in text) == bool(hint)


def test_a_log_line_is_given_the_text_of_an_error_and_not_the_error() -> None:
    """Whoever keeps log records would keep the frames of the error with them: decoded images, open files."""
    given = set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
        for node in ast.walk(tree):
            logs = isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("LOG.", "_log."))
            if logs and any(isinstance(own, ast.Name) and own.id in caught for own in node.args):
                given.add(file.relative_to(PACKAGE).as_posix())
    assert given <= {"pixels/features.py", "integrations/pyiqa.py"}, "those two are part of keys"
