"""Figures of records: what they draw, that the same figure has the same bytes, and what they refuse."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import InputError
from ssliqa_bench.leaderboard import figures
from ssliqa_bench.leaderboard.compare import Stat
from ssliqa_bench.leaderboard.few_labels import FewLabels, HorizontalLine, LabelCurve, Point
from ssliqa_bench.leaderboard.ranks import mean_ranks, srcc_table
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from tests.leaderboard.typed import typed

DEMO = Path(__file__).parents[2] / "leaderboards" / "demo"
# Quantiles of the studentized range divided by the root of two, at 5 %, as Demšar (2006) prints them.
NEMENYI = {2: 1.960, 3: 2.343, 5: 2.728, 10: 3.164}


def text_of(figure: Any, file: Path) -> str:
    figures.save(figure, file)
    return file.read_text()


def test_a_scatter_shows_every_image_and_the_stated_figures(made: ModuleType, tmp_path: Path) -> None:
    record = typed(made.record("ssiqa", 0, pair="a", srcc={"a": 0.8}))
    rng = np.random.default_rng(0)
    score = rng.normal(size=40)
    rows = Predictions(tuple(map(str, range(40))), tuple(score.tolist()), tuple((score + 0.1).tolist()))
    figure = figures.scatter(record, {"a": rows})
    assert len(figure.axes[0].collections[0].get_offsets()) == 40
    found = text_of(figure, tmp_path / "a.svg")
    assert "SRCC 0.800" in found and "a (labeled), 40 images" in found and "ssiqa, a, protocol standard" in found
    assert found == text_of(figures.scatter(record, {"a": rows}), tmp_path / "b.svg")


@pytest.mark.parametrize("suffix", figures.SUFFIXES)
def test_every_format_is_written_the_same_twice(tmp_path: Path, suffix: str) -> None:
    table = {name: {f"d{k}": 0.5 + 0.1 * (name == "x") + 0.01 * k for k in range(6)} for name in ("x", "y")}
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        figures.save(figures.critical_difference(table), file)
    assert files[0].read_bytes() == files[1].read_bytes() and files[0].stat().st_size > 1000


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    figure = figures.critical_difference({name: dict.fromkeys("abcdef", 0.5) for name in ("x", "y")})
    with pytest.raises(InputError, match=r'the suffix is "\.gif"; expected one of \.png, \.svg, \.pdf'):
        figures.save(figure, tmp_path / "a.gif")


@pytest.mark.parametrize("count", NEMENYI)
def test_ranks_and_the_critical_difference(count: int) -> None:
    rng = np.random.default_rng(count)
    datasets = [f"d{k}" for k in range(9)]
    table = {f"m{k}": {name: float(rng.normal()) for name in datasets} for k in range(count)}
    found = mean_ranks(table)
    ranks, difference = found.ranks, found.difference
    expected = np.mean([rankdata([-table[name][dataset] for name in sorted(table)]) for dataset in datasets], axis=0)
    assert [ranks[name] for name in sorted(table)] == pytest.approx(expected.tolist())
    assert difference == pytest.approx(NEMENYI[count] * np.sqrt(count * (count + 1) / (6 * 9)), abs=2e-3)


def test_ranks_of_fewer_than_six_datasets_are_refused() -> None:
    table = {name: dict.fromkeys("abcde", 0.5) for name in ("x", "y")}
    with pytest.raises(InputError, match="got 2 methods on 5 common datasets; ranks are compared from 6"):
        figures.critical_difference(table)


def test_a_dataset_counts_once_and_demo_data_not_at_all(made: ModuleType) -> None:
    def record(method: str, dataset: str, value: float, **more: Any) -> Record:
        return typed(made.record(method, 0, pair=dataset, **{"kind": "authentic", "srcc": {dataset: value}, **more}))

    given = [record(method, name, value + shift) for method, shift in (("ssiqa", 0.1), ("supervised", 0.0))
             for name, value in (("koniq", 0.5), ("koniq-1024", 0.6), ("livec", 0.4))]  # fmt: skip
    given += [record("ssiqa", "demo-syn", 0.9, kind="demo"), record("ssiqa", "spaq", 0.9, overrides={"lr": 1})]
    assert srcc_table(given, "standard") == {
        "ssiqa": {"koniq": pytest.approx(0.6), "livec": pytest.approx(0.5)},
        "supervised": {"koniq": 0.5, "livec": 0.4},
    }
    given += [record("musiq", "livec", 0.99, trained_on=["livec"]), record("supervised", "livec", 0.6, budget=93)]
    ranked = srcc_table(given, "standard", ["supervised"])
    assert ranked["supervised (all labels)"] == {"koniq": 0.5, "livec": 0.4}, "settings are not pooled"
    assert ranked["supervised (93 labels)"] == {"livec": 0.6}
    with pytest.raises(InputError, match="musiq: no record"):  # its weights have seen the dataset
        srcc_table(given, "standard", ["musiq"])
    with pytest.raises(InputError, match="niqe: no record with the protocol standard"):
        srcc_table(given, "standard", ["niqe"])


def test_a_curve_has_points_intervals_and_marked_lines(tmp_path: Path) -> None:
    points = tuple(Point(n, Stat(value, 0.02, 5), value - 0.05, value + 0.05) for n, value in ((20, 0.5), (80, 0.6)))
    lines = (HorizontalLine("musiq", "MUSIQ", Point(0, Stat(0.7, None, 5)), "seen"),
             HorizontalLine("clip", "CLIP", Point(0, Stat(0.65, None, 5)), "?"))  # fmt: skip
    given = FewLabels("a:a", "a", "standard", "demo", (LabelCurve("supervised", "Labels only", points),), lines)
    figure = figures.curve(given)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines[:1]] == [[0.5, 0.6]]
    found = text_of(figure, tmp_path / "a.svg")
    assert "musiq (seen)" in found and "clip (?)" in found and "images with a score" in found
    assert text_of(figures.curve(replace(given, lines=())), tmp_path / "b.svg").count("seen") == 0


def test_commands_draw_records_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "ls", "--store", str(DEMO)]) == 0
    listed = capsys.readouterr().out
    key = next(found[1] for found in re.finditer(r"^ssiqa demo-syn:demo-wild .*?([0-9a-f]{12})$", listed, re.M))
    for kind in ("scatter", "log"):
        out = tmp_path / f"{kind}.png"
        assert main(["plot", kind, key, "--store", str(DEMO), "--out", str(out)]) == 0
        assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "compare", "--store", str(DEMO), "--out", str(tmp_path / "c.png")]) == 2
    assert "common datasets; ranks are compared from 6" in capsys.readouterr().err
    assert main(["plot", "curve", "no-such", "--store", str(DEMO), "--out", str(tmp_path / "d.png")]) == 2
    assert "no-such: " in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["plot", "log", "abcd", "--store", str(DEMO), "--out", str(tmp_path / "a.png")]) == 2
    assert "pip install 'ssliqa-bench[plots]'" in capsys.readouterr().err
