"""The code part of every learner class's keys equals the committed pin, and CHANGELOG.md names each renewal."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry, locate_module
from ssliqa_bench.runner.code import Code

ROOT = Path(__file__).resolve().parent.parent
LOOP = "ssliqa_bench/training/loop.py"
CHANGELOG = """# Changelog

## Unreleased

### Keys
Why runs are computed again.

### Added
- `0123456789ab`: no digest of pins.

## 0.1.0

### Keys
- `aaaaaaaaaaaa`: SS-IQA: another loss.
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("key_pins", ROOT / "benchmarks/key_pins.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def pinned(script: ModuleType, registry: Registry) -> dict[str, str]:
    """The pins of this checkout."""
    found: dict[str, str] = script.pins(registry)
    return found


def test_keyed_code_is_the_pinned_one(script: ModuleType, pinned: dict[str, str]) -> None:
    """Where a change is intended: `make pins WHY="what changed, and for which learners"`."""
    problems = script.found_problems(
        script.pinned_text(pinned), script.PINS.read_text(encoding="utf-8"),
        script.CHANGELOG.read_text(encoding="utf-8"),
    )  # fmt: skip
    assert not problems, "\n".join(problems)


def test_every_class_and_stage_has_a_line(script: ModuleType, registry: Registry, pinned: dict[str, str]) -> None:
    entries = [name for name, entry in registry.methods.items() if entry.prefix is None]
    classes = {registry.resolve_method(name).class_path for name in entries}
    for part in ("run", "predictions"):
        assert sum(name.endswith(f" {part}") for name in pinned) == len(classes)
    assert {"ssiqa stage initial", "ssiqa stage phase-1", "fixmatch stage student", "backbone cnniqa"} <= set(pinned)


def test_changed_code_is_named_by_learner_and_stage(
    script: ModuleType, registry: Registry, pinned: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "ssliqa_bench", tmp_path / "ssliqa_bench", ignore=shutil.ignore_patterns("_data", "*.pyc"))
    file = tmp_path / LOOP
    file.write_text(file.read_text(encoding="utf-8") + "FURTHER = 1\n", encoding="utf-8")
    found = script.pins(registry, Code(locate_module, tmp_path))
    changed = script.differences(script.pinned_text(pinned), script.pinned_text(found))
    assert {"ssiqa stage phase-1: changed", "ssiqa run: changed", "fixmatch stage student: changed"} <= set(changed)
    assert not {line for line in changed if line.startswith(("niqe", "backbone"))}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("one  a\ntwo  b\n", "one  c\ntwo  b\n", ["one: changed"]),
        ("one  a\n", "one  a\ntwo  b\n", ["two: new"]),
        ("a name  a\ntwo  b\n", "two  b\n", ["a name: gone"]),
        ("one  a\n", "one  a\n", []),
    ],
)
def test_differences_are_named(script: ModuleType, old: str, new: str, said: list[str]) -> None:
    assert script.differences(old, new) == said


def test_pins_that_are_not_current_are_refused_until_renewed_and_quoted(script: ModuleType) -> None:
    old, new = "one  a\n", "one  b\n"
    assert script.found_problems(new, old, CHANGELOG)[1:] == [
        "one: changed", 'If that is intended: make pins WHY="what changed, and for which learners"'
    ]  # fmt: skip
    (problem,) = script.found_problems(new, new, CHANGELOG)
    assert problem.startswith('CHANGELOG.md: "### Keys" does not quote') and script.pin_digest(new) in problem
    quoting = script.with_entry(CHANGELOG, script.pin_digest(new), "Another\n loop.")
    assert script.found_problems(new, new, quoting) == []
    elsewhere = CHANGELOG.replace("0123456789ab", script.pin_digest(new))
    assert script.found_problems(new, new, elsewhere), "quoted in another section"


def test_renewing_again_for_the_same_reason_replaces_its_line(script: ModuleType) -> None:
    one = script.with_entry(CHANGELOG, "1" * 12, "Another loop.")
    two = script.with_entry(one, "2" * 12, "Another view.")
    again = script.with_entry(two, "3" * 12, "Another loop.")
    assert script.quoted(two) == {"a" * 12, "1" * 12, "2" * 12}
    assert script.quoted(again) == {"a" * 12, "2" * 12, "3" * 12}
    assert [line for line in again.splitlines() if line.startswith("- `")][:2] == [
        f"- `{'3' * 12}`: Another loop.", f"- `{'2' * 12}`: Another view."
    ]  # fmt: skip
    assert "\n\n### Added\n" in again


def test_a_renewal_needs_a_reason(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.main(["renew", " "])
    assert "needs a sentence for CHANGELOG.md" in capsys.readouterr().err
