from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.store.records import iter_records

STORE = Path(__file__).parents[2] / "leaderboards" / "open"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of two splits: two methods on `livec`, one of them on `biq2021` too; they stay two when others join."""
    store = tmp_path_factory.mktemp("few")
    wanted = {("pseudo-label", "livec:livec", "frozen", 93), ("ssiqa", "livec:livec", "frozen", 93),
              ("pseudo-label", "biq2021:biq2021", "frozen/tuned-on-livec", 100)}  # fmt: skip
    for record in iter_records(STORE):
        cell = record.cell
        if (cell.method, cell.pair, cell.recipe, cell.budget) in wanted and cell.seed < 2:
            shutil.copytree(STORE / "records" / record.key, store / "records" / record.key)
    shutil.copy(STORE / "NOTICE-livec.txt", store)
    return store


def write(path: Path, shift: float) -> str:
    rng = np.random.default_rng(1)
    scores, noise = rng.normal(size=50), rng.normal(size=50)
    lines = [f"{row}.png,{score},{score + shift * bad}" for row, (score, bad) in enumerate(zip(scores, noise))]
    path.write_text("image,score,prediction\n" + "\n".join(lines) + "\n")
    return str(path)


def test_methods_of_a_store_are_compared_over_their_splits(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "pseudo-label", "pseudo-label-supervised", "--store", str(STORE), "--images", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    # docs/open.md states the same
    assert "difference +0.0167 (-0.0033 to +0.0366), not distinguished" in out and "over 20 splits" in out
    assert out.count("PLCC after the mapping") == out.count("SRCC within parts") + out.count("  SRCC 0")
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["comparisons"]
    assert {one["dataset"] for one in found} == {"livec", "biq2021"}  # each setting for itself
    (livec,) = [one for one in found if one["one"].startswith("pseudo-label livec:livec frozen budget 93")]
    assert len(livec["images"]) == 2 and livec["how"] == "splits"
    assert all("pseudo-label-supervised" in one["other"] for one in found)
    assert {one["measure"] for one in found if one["dataset"] == "biq2021"} == {"SRCC within parts"}


def test_a_method_without_records_in_a_setting_is_named(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "pseudo-label", "ssiqa", "--store", str(few), "--images", "0"]) == 0
    read = capsys.readouterr()
    assert "livec: pseudo-label livec:livec" in read.out and "biq2021 less" not in read.out
    assert "Not compared: pseudo-label biq2021:biq2021 frozen/tuned-on-livec budget 100: no other method" in read.err


def test_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / "good.csv", 0.1), write(tmp_path / "poor.csv", 3.0)]
    assert main(["compare", *files]) == 0
    out = capsys.readouterr().out
    assert "50 images" in out and ", better, p" in out and "first: good; second: poor" in out
    assert main(["compare", *files, "--json", "--images", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["overall"]["verdict"] == "better" and found["images"] == []


def test_one_row_of_records_is_refused(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "ssiqa", "--store", str(few)]) == 2
    assert "expected records of at least two methods or settings" in capsys.readouterr().err
    assert main(["compare", "no-such-run", "x", "--store", str(few)]) == 2
    assert 'No record in' in capsys.readouterr().err
