"""The subset of the four common distortions, counted in the real label files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssliqa_bench.registry.load import load_registry
from tests.datasets.annotations import needs_annotations
from tests.datasets.reading import read_annotations

COUNTS = {
    "live": ({"rebuilt/databaserelease2": "."}, 634),
    "live-old": ({"rebuilt/databaserelease2": "."}, 634),
    "csiq": ({"csiq/csiq.beta.xlsx": "csiq.beta.xlsx"}, 600),
    "tid2013": ({"rebuilt/tid2013": "."}, 500),
    "tid2008": ({"rebuilt/tid2008": "."}, 400),
    "kadid": ({"rebuilt/kadid10k": "."}, 1620),
}


def test_every_subset_is_counted_here() -> None:
    assert {name for name, entry in load_registry().datasets.items() if entry.subsets} == set(COUNTS)


@needs_annotations
@pytest.mark.parametrize("dataset", list(COUNTS))
def test_images_of_the_four_common_distortions(tmp_path: Path, dataset: str) -> None:
    files, count = COUNTS[dataset]
    found = read_annotations(dataset, tmp_path, files, ("dst_imgs", "distorted_images", "images"))
    kept = load_registry().dataset(dataset).subsets["common4"].distortion
    assert sum(kind in kept for kind in found.distortion or ()) == count


@needs_annotations
@pytest.mark.parametrize("dataset", list(COUNTS))
def test_every_entry_has_the_counts_and_ranges_of_its_labels(tmp_path: Path, dataset: str) -> None:
    entry = load_registry().dataset(dataset)
    found = read_annotations(dataset, tmp_path, COUNTS[dataset][0], ("dst_imgs", "distorted_images", "images"))
    assert (len(found.name), len(set(found.group or ()))) == (entry.images, entry.groups)
    assert entry.valid_range[0] <= found.score.min() and found.score.max() <= entry.valid_range[1]
