"""Leaks: one image in two roles stops a run, unless a reason is given, which the board shows; look-alikes are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.datasets.near_duplicates import look_alikes, perceptual_hashes

if TYPE_CHECKING:
    from tests.conftest import Bench


def copy_labeled(bench: Bench) -> str:
    """Put a labeled image of tiny-a in the place of the first image of tiny-b; gives its name."""
    plan, _ = bench.plan("supervised")
    name = plan.tables["tiny-a"].name[plan.roles["tiny-a"].index("labeled")]
    shutil.copy(bench.data / "tiny-a" / "images" / name, bench.data / "tiny-b" / "images" / "00.png")
    return str(name)


def test_a_reason_lets_the_run_go_on_and_marks_the_board(own_bench: Bench, tmp_path: Path) -> None:
    name = copy_labeled(own_bench)
    code, err = own_bench.fails("supervised")
    assert code == 2 and name in err and "--allow-leak" in err
    entry = own_bench.run("supervised", "--allow-leak", "one known copy")
    facts = own_bench.facts(entry["key"])
    assert facts["leak"]["reason"] == "one known copy" and name in facts["leak"]["found"][0]
    assert own_bench.run("supervised", "--allow-leak", "one known copy")["status"] == "cached"
    assert own_bench.fails("supervised")[0] == 2, "a record with a leak answers only who allows it"
    from ssliqa_bench.cli.app import main

    assert main(["leaderboard", "--store", str(own_bench.store), "--out", str(tmp_path / "boards")]) == 0
    board = "".join(path.read_text() for path in (tmp_path / "boards").rglob("*.md"))
    assert "*leak allowed*" in board and "one known copy" in board


def test_without_a_leak_a_reason_leaves_no_trace(own_bench: Bench) -> None:
    entry = own_bench.run("supervised", "--allow-leak", "just in case", pair="tiny-a")
    assert own_bench.facts(entry["key"])["leak"] is None
    assert own_bench.run("supervised", pair="tiny-a")["status"] == "cached"


def test_a_test_image_that_looks_like_a_training_image_is_told(own_bench: Bench) -> None:
    plan, _ = own_bench.plan("supervised")
    rows = {role: plan.roles["tiny-a"].index(role) for role in ("labeled", "test")}
    first, second = (own_bench.data / "tiny-a" / "images" / plan.tables["tiny-a"].name[rows[role]] for role in rows)
    with Image.open(first) as opened:
        pixels = np.asarray(opened).astype(int)
    Image.fromarray((pixels + 1).clip(0, 255).astype(np.uint8)).save(second)
    code, out, err = own_bench("run", "--method", "supervised", "--pair", "tiny-a", "--json")
    (entry,) = json.loads(out)["runs"]
    assert code == 0 and f"{second.name} like {first.name}" in err
    notes = own_bench.facts(entry["key"])["notes"]
    assert any("1 of 8 test images of tiny-a looks like an image of tiny-a" in note for note in notes)
    assert not any(second.name in note for note in notes), "names stay off the record"


class Pictures:
    def __init__(self, pictures: list[np.ndarray]) -> None:
        self.pictures = pictures
        self.hashes = [str(k) for k in range(len(pictures))]
        self.asked = 0

    def image(self, row: int) -> np.ndarray:
        self.asked += 1
        return self.pictures[row]


def test_hashes_are_those_of_the_library_and_kept(tmp_path: Path) -> None:
    import imagehash

    random = np.random.default_rng(0)
    smooth = [np.kron(random.integers(0, 256, (6, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8) for _ in range(5)]
    images = Pictures(smooth)
    found = perceptual_hashes(images, [0, 3, 1], tmp_path / "near" / "x.json")
    expected = [int(str(imagehash.phash(Image.fromarray(smooth[k]))), 16) for k in (0, 3, 1)]
    assert found.tolist() == expected and images.asked == 3
    assert perceptual_hashes(images, [1, 0], tmp_path / "near" / "x.json").tolist() == [expected[2], expected[0]]
    assert images.asked == 3


@pytest.mark.parametrize(("first", "second"), [(700, 900), (3, 1), (0, 5), (5, 0)])
def test_look_alikes_equal_a_plain_loop(first: int, second: int) -> None:
    random = np.random.default_rng(first)
    base = random.integers(0, 2**63, 40, dtype=np.uint64)
    flips = np.uint64(1) << random.integers(0, 63, (first + second, 3), dtype=np.uint64)
    hashes = base[random.integers(0, 40, first + second)] ^ np.bitwise_xor.reduce(flips, axis=1)
    one, two = hashes[:first], hashes[first:]
    expected = [k for k in range(first) if any((int(one[k]) ^ int(other)).bit_count() <= 4 for other in two)]
    found = look_alikes(one, two)
    assert [k for k, _ in found] == expected
    assert all((int(one[a]) ^ int(two[b])).bit_count() <= 4 for a, b in found)


def test_a_file_in_two_datasets_is_found_whatever_size_it_is_decoded_to(own_bench: Bench) -> None:
    name = copy_labeled(own_bench)
    entry = {"datasets": {"tiny-b": {"working_size": {"short_side": 32}}}}
    file = own_bench.registry(entry)
    code, err = own_bench.fails("supervised", "--registry", str(file))
    assert code == 2 and f"tiny-a/{name}" in err and "the same file" in err
    assert own_bench.files() == {}


def test_a_reason_must_be_given(own_bench: Bench) -> None:
    code, err = own_bench.fails("supervised", "--allow-leak", " ")
    assert code == 2 and "expected the reason" in err


def test_a_record_with_a_leak_stays_when_it_is_asked_for_without_a_reason(own_bench: Bench) -> None:
    copy_labeled(own_bench)
    entry = own_bench.run("supervised", "--allow-leak", "known")
    before = own_bench.files()
    code, err = own_bench.fails("supervised")
    assert code == 2 and "--allow-leak" in err
    assert own_bench.files() == before and own_bench.facts(entry["key"])["leak"]["reason"] == "known"
