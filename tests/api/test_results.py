"""Results in Python: tables, what a notebook shows, roles and withheld scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import ssliqa_bench
from ssliqa_bench.api.dataset import load_dataset
from ssliqa_bench.api.results import evaluate
from ssliqa_bench.api.runs import records, run
from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation import metrics

if TYPE_CHECKING:
    from tests.conftest import Bench


def test_run_gives_what_the_command_does_and_records_list_it(bench: Bench) -> None:
    entry = bench.run("supervised")
    where = {"store": str(bench.store), "registry": [bench.data / "registry.yaml"], "device": "cpu", "quiet": True}
    runs = run("supervised", "tiny-a:tiny-b", **where)
    assert runs.cached == (True,) and runs[0].key == entry["key"] and len(runs) == 1
    table = records(bench.store)
    assert list(table["dataset"]) == ["tiny-a", "tiny-b"] and set(table["key"]) == {entry["key"]}
    for name, shown in entry["metrics"].items():
        assert table.set_index("dataset").loc[name, "srcc"] == pytest.approx(shown["srcc"])
    assert "<table" in runs._repr_html_() and "tiny-b" in repr(runs)
    assert f"{entry['metrics']['tiny-b']['srcc']:.4f}" in runs[0]._repr_html_() and "tiny-a" in runs[0]._repr_html_()
    model = ssliqa_bench.load_model(entry["key"], store=bench.store)
    shown = model._repr_html_()
    assert f"Model supervised, record {entry['key'][:12]}" in shown and f"{model.n_parameters:,}" in shown
    assert "1 to 5, higher is better" in shown and repr(model).startswith("Model supervised")
    with pytest.raises(InputError, match="pair must be text"):
        run("supervised", bench.plan()[1])


def test_the_package_of_boards_can_be_called_whatever_was_imported_first(finished: Bench) -> None:
    import ssliqa_bench.leaderboard.boards as module

    boards = ssliqa_bench.leaderboard(finished.store)
    assert module.build_boards is not None and list(boards) == ["demo/standard", "demo/standard/tiny-a--tiny-b"]
    assert "# Leaderboard" in boards["demo/standard"] and "supervised" in repr(boards)
    assert "`ssiqa`" in boards["demo/standard/tiny-a--tiny-b"]
    table = boards.table("demo/standard")
    assert "ssiqa" in set(table["method"]) and "<table" in boards._repr_html_()
    with pytest.raises(InputError, match="board with a table"):
        boards.table("demo/standard/tiny-a--tiny-b")
    with pytest.raises(InputError, match="No records"):
        ssliqa_bench.leaderboard(finished.store / "none")


def test_evaluate_is_the_metrics_object_and_shows_itself() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=50)
    said = scores + random.normal(size=50)
    found = evaluate(said, scores, extra=("mae_mapped",), bootstrap=50)
    plain = metrics.evaluate(said, scores, extra=("mae_mapped",))
    assert {name: found[name] for name in plain} == plain and found["intervals"]["srcc"]["lo"] < found["srcc"]
    shown = found._repr_html_()
    assert f"{found['srcc']:.4f}" in shown and "mae_mapped" in shown and "50 images" in shown
    assert "–" in evaluate([1, 1, 1], [1, 2, 3])._repr_html_()


def test_a_comparison_shows_itself_with_its_parts() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=60)
    table = {"image": [f"{k}.png" for k in range(60)], "score": scores, "distortion": ["<blur>", "noise"] * 30}
    found = ssliqa_bench.compare(
        {**table, "prediction": scores + random.normal(size=60)}, {**table, "prediction": random.normal(size=60)}
    )
    shown = found._repr_html_()
    assert f"{found.overall.mean:+.4f}" in shown and found.overall.verdict in shown and "60 images" in shown
    assert "distortion &lt;blur&gt;" in shown and "<blur>" not in shown


def test_a_dataset_has_the_roles_of_a_run_and_withholds_scores(bench: Bench) -> None:
    plan, _ = bench.plan(pair="tiny-a:tiny-a", budget=8)
    data = load_dataset("tiny-a", budget=8, registry=[bench.data / "registry.yaml"])
    assert data.roles == plan.roles["tiny-a"] and data.scale == (1, 5)
    labeled, unlabeled, test = data.part("labeled"), data.part("unlabeled"), data.part("test")
    assert len(labeled) == 8 and len(labeled) + len(unlabeled) + len(test) == len(data) == 24
    assert all(math.isnan(score) for score in unlabeled.scores) and not any(
        map(math.isnan, labeled.scores + test.scores)
    )
    image, score = test[0]
    expected = np.asarray(Image.open(test.table.path[0]).convert("RGB"))
    assert image.dtype == torch.uint8 and (image.numpy() == expected.transpose(2, 0, 1)).all()
    assert score == plan.tables["tiny-a"].score[plan.tables["tiny-a"].name.index(test.names[0])]
    images, scores = next(iter(DataLoader(labeled, batch_size=4)))
    assert images.shape == (4, 3, 48, 48) and scores.shape == (4,)
    assert "8 labeled" in repr(data) and "<td>labeled</td><td>8</td>" in data._repr_html_()
    with pytest.raises(IndexError):
        test[len(test)]
    with pytest.raises(InputError, match="expected labeled"):
        data.part("train")  # type: ignore[arg-type]


def test_public_names_keep_their_old_form(bench: Bench, tmp_path: Path) -> None:
    """A plan and its settings, as scripts have called it."""
    plan, settings = bench.plan("supervised")
    assert ssliqa_bench.run(plan, settings).record.key == plan.key
