"""Names that mean something to a format, planted in records and tables: plots and `compare` show them as they are."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ssliqa_bench.cli.app import main
from ssliqa_bench.leaderboard import figures
from ssliqa_bench.leaderboard.compare import Stat
from ssliqa_bench.leaderboard.few_labels import FewLabels, HorizontalLine, LabelCurve, Point
from ssliqa_bench.store.predictions import Predictions
from tests.leaderboard.typed import typed

pytest.importorskip("matplotlib")
# Each name, and how a line of text or a figure shows it.
SHOWN = {
    "a|b": "a|b", "<script>alert(1)</script>": "<script>alert(1)</script>", "=cmd|x!A0": "=cmd|x!A0", "R&D": "R&D",
    "two\nlines": "two\\nlines", "a\rb": "a\\rb", "a\tb": "a\\tb", "\x1b[31mred": "\\x1b[31mred", "$x_1$": "$x_1$",
    "\u202egnp": "\\u202egnp",
}  # fmt: skip
NAMES = list(SHOWN)


def words_of(figure: object, file: Path) -> str:
    """The text of a figure as an SVG reader takes it."""
    figures.save(figure, file)  # type: ignore[arg-type]
    return "\n".join("".join(node.itertext()) for node in ET.parse(file).iter() if node.tag.endswith("}text"))


@pytest.mark.parametrize("name", NAMES)
def test_plots_show_them(made: ModuleType, tmp_path: Path, name: str) -> None:
    shown, own = SHOWN[name].replace("$", r"\$"), made.record(name, 0, pair="a", srcc={"a": 0.8})
    log = [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in (1, 2)]
    record = typed({**own, "stages": [{**stage, "name": name, "log": log} for stage in own["stages"]]})
    rows = Predictions((name, "b"), (1.0, 2.0), (1.0, 2.0))
    stage = [(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)))]
    points = (Point(20, Stat(0.5, 0.1, 3), 0.4, 0.6),)
    few = FewLabels("a:a", name, "standard", "demo", (LabelCurve(name, name, points),),
                    (HorizontalLine(name, name, Point(0, Stat(0.7, None, 5)), "seen"),))  # fmt: skip
    ranked = {one: dict.fromkeys("abcdef", 0.5) for one in (name, "other")}
    drawn = {
        "scatter": figures.scatter(record, {"a": rows}), "log": figures.log(record),
        "cam": figures.activations(record, [name], {name: stage}), "curve": figures.curve(few),
        "compare": figures.critical_difference(ranked),
    }  # fmt: skip
    for kind, figure in drawn.items():
        found = words_of(figure, tmp_path / f"{kind}.svg")
        assert shown in found or SHOWN[name] in found, f"{kind}: {found}"
        assert "\x1b" not in found
    for suffix in (".png", ".pdf"):
        figures.save(drawn["scatter"], tmp_path / f"a{suffix}")


def test_compare_prints_one_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    names = [name for name in NAMES if not set(name) & {"\n", "\r"}]  # a table with a line end in a cell is refused
    images = [f"{name}{k}.png" for name in names for k in range(6)]
    scores = random.normal(size=len(images))
    files = []
    for number, file in enumerate(("first & =cmd.csv", "second\x1b[31m\n.csv")):
        said = scores + (number + 1) * random.normal(size=len(images))
        rows = [[image, score, own, image[:-5]] for image, score, own in zip(images, scores.tolist(), said.tolist())]
        with (tmp_path / file).open("w", newline="") as handle:
            csv.writer(handle).writerows([("image", "score", "prediction", "distortion"), *rows])
        files.append(str(tmp_path / file))
    assert main(["compare", *files, "--images", "60"]) == 0
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\r", "\t", "\u202e"}
    lines = out.splitlines()
    assert any("second\\x1b[31m\\n.csv" in line for line in lines)
    for name in names:
        assert sum(line.strip().startswith(f"{SHOWN[name]} ") for line in lines) == 1, name  # its distortion
        assert all(any(line.strip().startswith(f"{SHOWN[name]}{k}.png") for line in lines) for k in range(6)), name
    assert main(["compare", *files, "--json", "--images", "60"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["by"]["distortion"]) == set(names) and {one["image"] for one in found["images"]} == set(images)
