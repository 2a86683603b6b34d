"""`splits export` on a small dataset of a user's registry file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from ssliqa_bench.cli import splits
from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.splits import assign_roles, split_hash
from ssliqa_bench.errors import InputError
from ssliqa_bench.registry.load import load_registry

REGISTRY = """
datasets:
  mine:
    about: {title: Mine}
    kind: authentic
    scale: [0, 10]
    direction: higher_is_better
    folder: mine
    aliases: [my-photos]
protocols:
  few:
    about: {title: Few}
    budget: 3
"""


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    for k in range(10):
        Image.new("RGB", (4, 4), (k, 0, 0)).save(images / f"{k}, photo.png")
    rows = "".join(f'"{k}, photo.png",{k}\n' for k in range(10))
    (tmp_path / "mine" / "labels.csv").write_text(f"image,score\n{rows}")
    (tmp_path / "mine.yaml").write_text(REGISTRY)
    return tmp_path / "mine.yaml"


def export(registry: Path, *words: str) -> Result:
    app = typer.Typer()
    splits.register(app)
    return CliRunner().invoke(app, ["splits", "export", *words, "--registry", str(registry)])


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_roles_as_a_run_has_them(registry: Path) -> None:
    known = load_registry([registry])
    entry = known.dataset("mine")
    table = load_table(entry, registry.parent, registry.parent)
    for seed in (0, 3):
        result = export(registry, "few", "my-photos:mine", "--seed", str(seed))
        assert result.exit_code == 0, result.output
        found = rows(result.stdout)
        expected = assign_roles(known.pair("mine:mine"), {"mine": table}, known.protocol("few"), seed)["mine"]
        assert {row["image"]: row["role"] for row in found} == dict(zip(table.name, expected))
        assert {row["dataset"] for row in found} == {"mine"}
        assert Counter(row["role"] for row in found) == {"labeled": 3, "unlabeled": 5, "test": 2}
        assert result.stderr == f"mine: labeled 3, unlabeled 5, test 2; split {split_hash(table, expected)}\n"


def test_written_to_a_file(registry: Path) -> None:
    out = registry.parent / "out" / "roles.csv"
    result = export(registry, "standard", "mine", "--out", str(out))
    assert result.exit_code == 0 and result.stdout == ""
    assert out.read_text() == export(registry, "standard", "mine").stdout
    assert out.read_bytes().startswith(b"dataset,image,role\n") and len(rows(out.read_text())) == 10


@pytest.mark.parametrize(("words", "message"), [
    (("fews", "mine"), 'Unknown protocol "fews". Did you mean \'few\''),
    (("few", "minne"), 'Unknown dataset "minne"'),
    (("few", "mine:mine:mine"), "expected A or A:B"),
])
def test_wrong_names(registry: Path, words: tuple[str, ...], message: str) -> None:
    result = export(registry, *words)
    assert isinstance(result.exception, InputError) and message in str(result.exception)
