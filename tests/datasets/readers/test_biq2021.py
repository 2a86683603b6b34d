"""BIQ2021: both lists, the parts in the names, and what its registry entry says of the whole release."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssliqa_bench.datasets import near_copies
from ssliqa_bench.registry.load import load_registry
from tests.datasets.miniatures import Miniature
from tests.datasets.miniatures.biq2021 import LAYOUTS
from tests.datasets.reading import read, refusal, rewrite


@pytest.fixture
def made(tmp_path: Path) -> Miniature:
    return LAYOUTS["official"](tmp_path / "data")


def test_the_part_and_the_split_come_from_names_and_lists(made: Miniature) -> None:
    found = read(made)
    assert found.part is not None and set(found.part) == {"ss01", "ss02", "ss03"}
    assert all(name.startswith(f"{part} (") for name, part in zip(found.name, found.part))
    assert found.split == ("train",) * 20 + ("test",) * 10
    assert found.rating_std is None and found.distribution is None


def test_a_name_without_a_part_is_said_with_its_line(made: Miniature) -> None:
    rewrite(made.labels[0], made.names[1], "ss07 (4).jpg")
    assert f'{made.labels[0]}:3: image name is "ss07 (4).jpg"; expected "PART (N).jpg", the part' in refusal(made)


def test_a_list_alone_is_not_the_dataset(made: Miniature) -> None:
    made.labels[1].unlink()
    assert "looked for Test (Images and MOS).csv" in refusal(made)


def test_the_entry_keeps_scores_and_names_here() -> None:
    entry = load_registry().dataset("biq2021")
    assert not entry.labels_redistributable and entry.twins == ()
    assert entry.copies is not None and entry.copies.version == near_copies.VERSION
    assert entry.images is not None and entry.groups == entry.images - entry.copies.images + entry.copies.groups
