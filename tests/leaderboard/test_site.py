"""Files of the site: what they hold, what they leave out, the same bytes from shuffled records."""

from __future__ import annotations

import base64
import json
import random
import re
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.evaluation.names import ALWAYS
from ssliqa_bench.leaderboard.site.build import build_site
from ssliqa_bench.leaderboard.site.documents import CHARTED
from ssliqa_bench.leaderboard.site.packing import pack, pack_places, short
from ssliqa_bench.registry.load import load_registry, notices_of
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import Record
from tests.leaderboard.site_records import predictions, site_of, some_records
from tests.leaderboard.typed import typed


def data(texts: dict[str, str], folder: str) -> dict[str, Any]:
    """The documents of a folder of scripts, by their names."""
    found = {}
    for path, text in texts.items():
        if path.startswith(f"site/data/{folder}") and path.endswith(".js"):
            name = re.search(rf'SSLIQA\.{folder}\["([^"]*)"\]=', text)
            found[name[1] if name else folder] = json.loads(text[text.index("=", text.index(f".{folder}") if not name
                                                            else name.end() - 1) + 1 : -2])  # fmt: skip
    return found


def merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What `site.js` makes of what runs share and what one has beside it."""
    both = {name: merged(shared[name], value) for name, value in own.items()
            if isinstance(value, dict) and isinstance(shared.get(name), dict)}  # fmt: skip
    return {**shared, **own, **both}


def runs_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a row's document."""
    return [merged(document["shared"], run) for run in document["runs"]]


def unpack(own: list[Any]) -> list[float]:
    """What `site.js` makes of a column."""
    if len(own) != 3 or not isinstance(own[2], str):
        return own
    low, high, text = own
    steps = struct.unpack(f"<{len(base64.b64decode(text)) // 2}H", base64.b64decode(text))
    return [low + (high - low) * step / 65535 for step in steps]


def test_shuffled_records_give_the_same_site(made: ModuleType) -> None:
    records = some_records(made)
    expected = site_of(records)
    random.Random(3).shuffle(records)
    assert site_of(records) == expected
    assert sum(len(text.encode()) for text in expected.values()) < 1_000_000


def test_a_notice_stands_beside_the_names_and_scores_of_its_dataset(made: ModuleType) -> None:
    path = "site/data/images/NOTICE-livec.txt"
    texts = site_of(some_records(made))
    assert texts[path] == notices_of(load_registry())["livec"].read_text()
    assert any(name.startswith("livec-") for name in data(texts, "images"))
    records = some_records(made)
    for own in records:
        own["withheld"] = [name for name in own["metrics"] if name == "livec"]
    assert path not in site_of(records)


def test_figures_are_those_of_the_records(made: ModuleType) -> None:
    records = some_records(made)
    index = data(site_of(records), "index")["index"]
    (row,) = [row for row in index["rows"] if row["method"] == "ssiqa" and row["kind"] == "demo"]
    values = [own["metrics"]["demo-wild"]["srcc"] for own in records
              if own["cell"]["method"] == "ssiqa" and "demo-wild" in own["metrics"]]  # fmt: skip
    assert row["results"]["demo-wild"]["srcc"][0] == pytest.approx(np.mean(values), rel=1e-5)
    assert row["results"]["demo-wild"]["srcc"][1] == pytest.approx(np.std(values, ddof=1), rel=1e-5)
    assert [seed for _, seed in row["runs"]] == [0, 1, 2, 3] and row["kind"] == "demo" and row["rank"] == 1
    assert "gain" not in next(own for own in index["rows"] if own["method"] == "oracle")["results"]["demo-wild"]
    assert index["methods"]["ssiqa"]["citation"].startswith("@inproceedings{pan2024ssiqa")


def test_points_and_curve_are_those_of_the_predictions(made: ModuleType) -> None:
    records = some_records(made)
    texts = site_of(records)
    rows = data(texts, "index")["index"]["rows"]
    (row,) = [row for row in rows if row["method"] == "ssiqa" and row["kind"] == "demo"]
    run = runs_of(data(texts, "rows")[row["id"]])[1]
    result = run["results"]["demo-wild"]
    images = data(texts, "images")[result["images"]]
    table = predictions(typed(records[0]), "demo-wild", seed=1, method="ssiqa")
    at = [int(k) for k in unpack(images["splits"][result["at"]])]
    assert [images["names"][k] for k in at] == list(table.image)
    assert [images["scores"][k] for k in at] == pytest.approx(table.score, rel=1e-5)
    step = (max(table.prediction) - min(table.prediction)) / 65535
    assert unpack(result["x"]) == pytest.approx(table.prediction, abs=0.51 * step)
    y = unpack(result["curve"])
    x = np.linspace(min(table.prediction), max(table.prediction), len(y))
    assert y == pytest.approx(fit_mapping(table.prediction, table.score).apply(x), rel=1e-3, abs=2e-3)
    groups = [images["groups"][k] for k in at]
    assert len(set(zip(groups, table.group or (), strict=True))) == len(set(groups)) == len(set(table.group or ()))


def test_a_run_shows_every_metric_of_every_result(made: ModuleType) -> None:
    """The order in which `pages.js` names them is that of the numbers."""
    records = some_records(made)
    texts = site_of(records)
    named = re.search(r"const NAMES = \{(.*?)\};", texts["site/pages.js"])
    assert named is not None
    metrics = re.findall(r"(\w+): ", named[1])
    assert set(metrics) == set(ALWAYS)
    rows = data(texts, "index")["index"]["rows"]
    (row,) = [own for own in rows if own["method"] == "ssiqa" and own["kind"] == "demo"]
    document = data(texts, "rows")[row["id"]]
    found = [run["results"]["demo-wild"]["metrics"] for run in runs_of(document)]
    (first,) = [own for own in records if own["cell"]["method"] == "ssiqa" and own["cell"]["seed"] == 0
                and own["cell"]["protocol"] == row["protocol"] and "demo-wild" in own["metrics"]]  # fmt: skip
    assert found[0] == pytest.approx([first["metrics"]["demo-wild"][name] for name in metrics], rel=1e-4)


@pytest.mark.parametrize("how", ["withheld", "not redistributable"])
def test_names_and_scores_that_are_not_passed_on_are_in_no_file(made: ModuleType, how: str) -> None:
    records = some_records(made)
    for own in records:
        if how == "withheld":
            own["withheld"] = ["demo-wild"]
        elif "demo-wild" in own["datasets"]:
            own["datasets"]["demo-wild"]["labels_redistributable"] = False
    texts = site_of(records)
    assert not any("wild-0" in text for text in texts.values()) and any("syn-0" in text for text in texts.values())
    results = [run["results"]["demo-wild"] for row in data(texts, "rows").values() for run in runs_of(row)
               if "demo-wild" in run["results"]]  # fmt: skip
    assert results and all("x" not in own and own["metrics"][0] for own in results)


def test_awkward_names_stay_inside_their_scripts(made: ModuleType) -> None:
    text = "</script><script>alert(1)</script>\u2028 =cmd|x & \x1b[31m\r\n'\""
    own = made.record(text, srcc={"demo-syn": 0.5}, recipe=text, notes=[text], overrides={text: text})
    own["method"].update(title=text, family=text)
    texts = build_site([typed(own)], predictions, load_registry())
    for path, content in texts.items():
        assert re.fullmatch(r"site/[A-Za-z0-9._/-]+", path)
        if "/data/" in path:
            assert "<" not in content and "\u2028" not in content and "\x1b" not in content
            assert content.count("\n") == 1
    assert data(texts, "index")["index"]["rows"][0]["method"] == text


def test_assets_reach_for_nothing_outside(made: ModuleType) -> None:
    texts = site_of(some_records(made))
    for name in ("index.html", "site.css", "site.js", "pages.js", "charts.js", "compare.js"):
        text = texts[f"site/{name}"]
        assert not re.search(r"(src|href)=.https?:|@import|url\(|\bfetch\(|innerHTML|eval\(", text), name
    assert "The MIT License" in texts["site/uplot-LICENSE.txt"]


def test_numbers_keep_six_digits() -> None:
    assert [short(0.123456789), short(12.0), short(-1e-9), short(1234567.0)] == [0.123457, 12, -1e-09, 1234570]


@pytest.mark.parametrize("scale", ["uniform", "heavy tails"])
def test_packed_columns_are_within_half_a_step_and_keep_their_ranks(scale: str) -> None:
    random = np.random.default_rng(2)
    values = random.uniform(-3, 5, 2400) if scale == "uniform" else random.standard_t(3, 2400)
    packed = pack(values.tolist())
    assert len(packed) == 3 and len(packed[2]) < 3 * len(values)
    found = np.array(unpack(packed))
    assert np.abs(found - values).max() <= 0.51 * np.ptp(values) / 65535
    assert spearmanr(found, values).statistic > 1 - 1e-7


def test_columns_that_do_not_pack_are_plain_lists() -> None:
    outlier = [*(k / 7 for k in range(50)), 1e9]
    assert pack(outlier) == [short(value) for value in outlier], "else 50 different numbers were one"
    assert pack([0.25] * 50) == [0.25] * 50 and pack([0.123456789, 2.0]) == [0.123457, 2]
    assert pack_places([*range(11)]) == [*range(11)] and pack_places([70_000] * 20) == [70_000] * 20
    assert unpack(pack_places([*range(0, 65_536, 1000)])) == [*range(0, 65_536, 1000)]


def test_runs_of_one_split_name_their_images_once(made: ModuleType) -> None:
    images = data(site_of(some_records(made)), "images")
    found = {name.split("-f-")[0]: len(own["splits"]) for name, own in images.items()}
    assert found == {"demo-syn": CHARTED, "demo-wild": CHARTED, "livec": 2}, "one for each seed with charts"


def test_the_first_runs_of_a_row_have_charts_and_all_have_metrics(made: ModuleType) -> None:
    read = []

    def reading(record: Record, dataset: str) -> Predictions:
        read.append(record.cell.seed)
        return predictions(record, dataset)

    records = some_records(made)
    ends = {"lo": 0.1, "hi": 0.9, "method": "bootstrap", "units": 80, "resamples": 1000}
    for record in records:
        for own in record["metrics"].values():
            own["intervals"] = {"srcc": ends, "krcc": ends}
    texts = build_site(map(typed, records), reading, load_registry())
    rows = data(texts, "index")["index"]["rows"]
    (row,) = [own for own in rows if own["method"] == "ssiqa" and own["kind"] == "demo"]
    assert len(row["runs"]) == 4 and row["charted"] == CHARTED == 2 and max(read) == CHARTED - 1
    document = data(texts, "rows")[row["id"]]
    runs = runs_of(document)
    assert [bool(run["stages"]) and "x" in run["results"]["demo-wild"] for run in runs] == [True, True, False, False]
    assert all(run["results"]["demo-wild"]["metrics"][0] for run in runs)
    assert [len(run["results"]["demo-wild"]["intervals"]) for run in runs] == [5, 5, 1, 1], "without charts SRCC's"


def test_notes_keep_their_words_and_numbers(made: ModuleType) -> None:
    notes = [["same in both", f"{count} of 2402 images: ss{count} 1.5e3, 0.079 on [0, 1]"] for count in (7, 106)]
    records = [made.record("ssiqa", seed, srcc={"demo-syn": 0.5}, notes=own) for seed, own in enumerate(notes)]
    (document,) = data(site_of(records), "rows").values()
    assert len(document["words"]) == 2, "notes that differ in numbers alone share their words"
    runs = runs_of(document)
    told = [["".join(words + number for words, number in zip(document["words"][place], [*numbers, ""], strict=True))
             for place, *numbers in run["notes"]] for run in runs]  # fmt: skip
    assert told == notes



def test_the_committed_site_has_the_assets_of_the_package() -> None:
    """Where it has not: `make site`."""
    root = Path(__file__).parents[2]
    assets = {path.name: path.read_bytes() for path in (root / "ssliqa_bench/leaderboard/site/assets").iterdir()}
    committed = root / "leaderboards/site"
    assert sum(path.stat().st_size for path in committed.rglob("*") if path.is_file()) < 5_000_000
    assert len(assets) > 5 and {path.name for path in committed.iterdir()} == {*assets, "data"}
    for name, content in assets.items():
        assert (committed / name).read_bytes() == content, name
