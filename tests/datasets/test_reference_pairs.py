"""Datasets made from pristine images: what is made, that it is made once, and the same whoever makes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.datasets.base import load_table
from ssliqa_bench.datasets.distort import KADID_KINDS
from ssliqa_bench.datasets.distort.random_strength import DRAWN_KINDS, distort_by_chance
from ssliqa_bench.datasets.reference_pairs import make_dataset
from ssliqa_bench.datasets.table import Table
from ssliqa_bench.errors import DataError, RegistryError
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.schema import DatasetEntry

REFERENCES = ("A0001.bmp", "A0002.bmp", "A0005.bmp")


def entry(**fields: Any) -> DatasetEntry:
    told = {"dataset": "source", "per_reference": 6, **fields}
    facts = {"name": "made", "about": {"title": "Made"}, "kind": "unlabeled", "made_from": told}
    return DatasetEntry.model_validate(facts)


@pytest.fixture
def source(tmp_path: Path) -> Table:
    """Three references with one distorted image each; the last one belongs to the official test part."""
    folder = tmp_path / "source"
    folder.mkdir()
    for k, name in enumerate(REFERENCES):
        coarse = np.random.default_rng(k).integers(0, 256, (6, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((56, 48), Image.Resampling.BICUBIC).save(folder / name)
    nothing = np.zeros(3)
    return Table("source", ("a", "b", "c"), tuple(str(folder / n) for n in "abc"), nothing, nothing,
                 tuple(f"group of {name}" for name in REFERENCES), split=("train", "train", "test"),
                 reference=tuple(str(folder / name) for name in REFERENCES))  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))
            if path.is_file() and path.suffix in (".bmp", ".csv")}  # fmt: skip


def read(made: DatasetEntry, root: Path) -> Table:
    return load_table(made, root, root / "cache")


@pytest.mark.parametrize("distortions", ["traditional", "kadid"])
def test_a_dataset_like_any_other(source: Table, tmp_path: Path, distortions: str) -> None:
    root, own = tmp_path / "data", entry(distortions=distortions)
    seen: list[tuple[int, int]] = []
    report = make_dataset(own, source, root / "made", progress=lambda done, total: seen.append((done, total)))
    assert (report.total, report.made, report.present, dict(report.bad)) == (12, 12, 0, {})
    assert seen[0] == (0, 12) and seen[-1] == (12, 12)
    table = read(own, root)
    assert len(table) == 12 and np.isnan(table.score).all()
    # References of the source's test part are left alone; groups are those of the source.
    assert set(table.group) == {"group of A0001.bmp", "group of A0002.bmp"}
    assert table.reference is not None and table.distortion is not None
    assert {Path(path).name for path in table.reference} == {"A0001.bmp", "A0002.bmp"}
    assert set(table.distortion) <= set(DRAWN_KINDS if distortions == "traditional" else KADID_KINDS.values())
    for path, reference in zip(table.path, table.reference, strict=True):
        one, other = np.asarray(Image.open(path)), np.asarray(Image.open(reference))
        assert one.shape == other.shape and (one != other).any()
    assert Path(table.reference[0]).read_bytes() == Path(source.reference[0]).read_bytes()  # type: ignore[index]


def test_bytes_are_the_same_for_any_number_of_processes_and_after_a_stop(source: Table, tmp_path: Path) -> None:
    make_dataset(entry(), source, tmp_path / "one")
    make_dataset(entry(), source, tmp_path / "two", processes=2)
    expected = content(tmp_path / "one")
    assert content(tmp_path / "two") == expected
    images = sorted((tmp_path / "two" / "images").iterdir())
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:200])
    (tmp_path / "two" / "labels.csv").unlink()
    report = make_dataset(entry(), source, tmp_path / "two")
    assert (report.made, report.present) == (2, 10) and content(tmp_path / "two") == expected
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").rglob("*.bmp")}
    assert make_dataset(entry(), source, tmp_path / "two").made == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "two").rglob("*.bmp")} == times


@pytest.mark.parametrize("distortions", ["traditional", "kadid"])
def test_more_images_keep_those_that_are_there(source: Table, tmp_path: Path, distortions: str) -> None:
    make_dataset(entry(distortions=distortions), source, tmp_path / "made")
    before = content(tmp_path / "made" / "images")
    report = make_dataset(entry(distortions=distortions, per_reference=9), source, tmp_path / "made")
    after = content(tmp_path / "made" / "images")
    assert (report.made, report.present) == (6, 12) and before.items() <= after.items()


def test_another_seed_gives_other_images_and_is_not_mixed_in(source: Table, tmp_path: Path) -> None:
    make_dataset(entry(), source, tmp_path / "zero")
    make_dataset(entry(seed=1), source, tmp_path / "one")
    assert content(tmp_path / "zero" / "images") != content(tmp_path / "one" / "images")
    with pytest.raises(DataError, match="made by generator version 1 with seed 0"):
        make_dataset(entry(seed=1), source, tmp_path / "zero")


def test_an_unreadable_reference(source: Table, tmp_path: Path) -> None:
    Path(source.reference[1]).write_bytes(b"BM")  # type: ignore[index]
    with pytest.raises(DataError, match="made: 1 of 2 references are unreadable"):
        make_dataset(entry(), source, tmp_path / "data" / "made")
    assert not (tmp_path / "data" / "made" / "labels.csv").exists()
    report = make_dataset(entry(), source, tmp_path / "data" / "made", skip_bad=True)
    assert list(report.bad) == ["A0002.bmp"] and len(read(entry(), tmp_path / "data")) == 6


def test_a_source_without_references(source: Table, tmp_path: Path) -> None:
    alone = Table("source", source.name, source.path, source.score, source.score01, source.group)
    with pytest.raises(DataError, match="source, from which it is to be made, states no reference images"):
        make_dataset(entry(), alone, tmp_path / "made")


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_strengths_are_drawn(source: Table, kind: str) -> None:
    """Different random numbers give different strengths; the least of the range leaves more than the most."""
    pixels = np.asarray(Image.open(source.reference[0]))  # type: ignore[index]
    errors = [
        np.abs(distort_by_chance(pixels, kind, np.random.default_rng(seed)).astype(int) - pixels).mean()
        for seed in range(12)
    ]
    assert min(errors) > 0 and max(errors) > 1.5 * min(errors)


def test_entries_that_are_not_right(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "datasets:\n"
        "  one: {about: {title: T}, kind: unlabeled, made_from: {dataset: pipall}}\n"
        "  two: {about: {title: T}, kind: authentic, scale: [0, 1], direction: higher_is_better,"
        " made_from: {dataset: pipal}}\n"
        "  three: {about: {title: T}, kind: unlabeled, made_from: {dataset: pipal, per_reference: 126}}\n"
    )
    with pytest.raises(RegistryError) as caught:
        load_registry([file])
    said = str(caught.value)
    assert 'one.made_from.dataset: got "pipall"; expected ' in said
    assert "two.made_from" in said and "three.made_from.per_reference" in said


def test_it_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='pipal-made: .* made from those of pipal: "ssliqa-bench data prepare pipal'):
        load_table(load_registry().dataset("pipal-made"), tmp_path, tmp_path)


def test_pairs_of_ones_own_as_the_docs_describe_them(tmp_path: Path) -> None:
    """A label file without scores and with references is an unlabeled side for a learner that compares with them."""
    page = (Path(__file__).parents[2] / "docs" / "methods" / "noisy_student.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- example: own pairs -->\n+```yaml\n(.*?)```\n+```\n(.*?)```", page, re.DOTALL)
    assert found is not None
    (tmp_path / "mine.yaml").write_text(found[1])
    home = tmp_path / "my-pairs"
    for folder, names in (("images", ("one_srgan", "two_srgan")), ("refs", ("one", "two"))):
        (home / folder).mkdir(parents=True)
        for number, name in enumerate(names):  # equal pictures would be one group
            Image.new("RGB", (16, 16), (len(name), number, 0)).save(home / folder / f"{name}.png")
    (home / "labels.csv").write_text(found[2])
    registry = load_registry([tmp_path / "mine.yaml"])
    table = load_table(registry.dataset("my-pairs"), tmp_path, tmp_path / "cache")
    assert table.reference == tuple(str(home / "refs" / name) for name in ("one.png", "two.png"))
    assert table.group == ("one", "two") and np.isnan(table.score).all()
    assert "my-pairs" in registry.with_references()
