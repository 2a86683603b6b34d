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


def command(registry: Path, *words: str) -> int:
    from ssliqa_bench.cli.app import main

    return main(["splits", *words, "--registry", str(registry)])


def test_hashes_are_those_of_the_roles(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(registry, "hash", "standard", "mine", "--seeds", "3") == 0
    found = rows(capsys.readouterr().out)
    known = load_registry([registry])
    table = load_table(known.dataset("mine"), Path("nowhere"), registry.parent / "cache")
    for seed, row in enumerate(found):
        roles = assign_roles(known.pair("mine"), {"mine": table}, known.protocol("standard"), seed)
        assert row == {"protocol": "standard", "pair": "mine", "dataset": "mine", "seed": str(seed),
                       "split_hash": split_hash(table, roles["mine"])}  # fmt: skip
    assert len({row["split_hash"] for row in found}) == 3


def test_a_published_split_becomes_a_protocol(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"{k}, PHOTO.png\n" for k in range(6)))
    (tmp_path / "test.txt").write_text("6, photo.png\r\n7, photo.png\r\n\r\n")
    assert command(registry, "import", "paper", "mine", "--train", "train.txt", "--test", "test.txt") == 0
    assert "train 6" in capsys.readouterr().err
    from ssliqa_bench.cli.app import main

    files = ["--registry", str(registry), "--registry", "paper.yaml"]
    assert main(["splits", "export", "paper", "mine", *files]) == 0
    told = Counter(row["role"] for row in rows(capsys.readouterr().out))
    assert told == {"labeled": 6, "test": 2, "unused": 2}
    assert command(registry, "import", "paper", "mine", "--train", "train.txt", "--test", "test.txt") == 2
    assert "--force" in capsys.readouterr().err


def test_an_exported_split_can_be_imported(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(registry, "export", "standard", "mine", "--seed", "4", "--out", "four.csv") == 0
    assert command(registry, "import", "four", "mine", "four.csv", "--out", "again.yaml") == 0
    capsys.readouterr()
    known = load_registry([registry, tmp_path / "again.yaml"])
    table = load_table(known.dataset("mine"), Path("nowhere"), tmp_path / "cache")
    ours, theirs = (assign_roles(known.pair("mine"), {"mine": table}, known.protocol(name), 4)["mine"]
                    for name in ("standard", "four"))  # fmt: skip
    assert ours == theirs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("11, photo.png\n", '"11, photo.png"'),
        ("1, photo.png\n1, photo.png\n", "listed already"),
        ("\n", "name no image"),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "train.txt").write_text(content)
    out = tmp_path / "p.yaml"
    assert command(registry, "import", "p", "mine", "--train", str(tmp_path / "train.txt"), "--out", str(out)) == 2
    assert message in capsys.readouterr().err and not out.exists()
    assert command(registry, "import", "p", "mine", "--out", str(out)) == 2
    assert command(registry, "import", "standard", "mine", "--train", str(tmp_path / "train.txt")) == 2


def test_a_word_that_is_no_part_leaves_no_file(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text('image,split\n"1, photo.png",train\n"2, photo.png",banana\n')
    out = tmp_path / "p.yaml"
    assert command(registry, "import", "p", "mine", str(tmp_path / "list.csv"), "--out", str(out)) == 2
    assert "list.csv:3" in capsys.readouterr().err and not out.exists() and not out.with_suffix(".csv").exists()
