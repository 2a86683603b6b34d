"""`score`: values, spread, bad images, resuming, several models, the page of thumbnails."""

from __future__ import annotations

import csv
import json
import math
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.cli.app import main
from ssliqa_bench.models.folder import write_model_folder
from ssliqa_bench.models.load import find_model, load_model
from ssliqa_bench.photos import scoring
from ssliqa_bench.photos.report import write_report
from ssliqa_bench.types import Scale

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CONTRAST = ["--model", "contrast", "--registry", str(EXAMPLES / "contrast.yaml")]


@pytest.fixture
def photos(tiny_pair: Path, tmp_path: Path) -> Path:
    """Six images, one of a single pixel and a file that is no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((tiny_pair / "tiny-a" / "images").glob("*.png"))[:6]:
        shutil.copy(path, folder)
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(folder / "one pixel.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def model(finished_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained model."""
    found = [
        file.parent
        for file in finished_store.glob("records/*/facts.json")
        if json.loads(file.read_text())["cell"]["method"] == "supervised"
    ]
    return write_model_folder(tmp_path_factory.mktemp("model") / "mine", find_model(found[0]))


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_values_are_those_of_the_model_and_the_spread_is_over_its_crops(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    assert main(["score", "--model", str(model), str(photos), "--csv", str(out)]) == 1
    rows = {row["image"]: row for row in table(out)}
    loaded = load_model(model)
    assert isinstance(loaded.scale, Scale) and (loaded.scale.low, loaded.scale.high) == (1, 5)
    good = sorted(photos.glob("*.png"))
    assert set(rows) == {str(path) for path in good}
    values, spreads = loaded.with_spread(good)
    assert spreads is not None and (spreads[:6] > 0).all()
    np.testing.assert_allclose(values, loaded(good), rtol=0, atol=1e-6)
    for path, value, spread in zip(good, values, spreads, strict=True):
        assert float(rows[str(path)]["score"]) == pytest.approx(value, abs=2e-6)
        assert float(rows[str(path)]["spread"]) == pytest.approx(spread, abs=2e-6)
    (bad,) = table(out.with_name("scores.csv.bad.csv"))
    assert bad["image"].endswith("broken.jpg") and "no known image format" in bad["reason"]


def test_the_spread_of_crops_is_that_of_a_plain_loop(photos: Path, model: Path) -> None:
    import torch

    from ssliqa_bench.models.images import Decoded
    from ssliqa_bench.models.load import find_model as found_model
    from ssliqa_bench.pixels.decode import decode
    from ssliqa_bench.training.images import ImageSet
    from ssliqa_bench.training.quality import stored_model
    from ssliqa_bench.training.views import View, test_crops

    kept = found_model(model)
    assert kept.artifact is not None
    told = kept.description.params
    network = stored_model(kept.artifact, told["backbone"], torch.device("cpu"))
    path = sorted(photos.glob("*.png"))[0]
    images = ImageSet([(Decoded([decode(path)]), 0)])
    crops = test_crops(images, [0], View(told["crop"], told["test_crops"]))
    with torch.no_grad():
        each = [4 * float(network(crop[None])[0]) for crop in crops]
    _, spread = load_model(model).with_spread(path)
    assert spread is not None and spread[0] == pytest.approx(np.std(each, ddof=1), rel=1e-4)


def test_several_models_stand_side_by_side_and_a_metric_has_no_spread(
    photos: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", *CONTRAST, "--model", str(model), str(photos), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["models"]] == ["contrast", "mine"]
    assert "1 to 5" in told["models"][1]["units"] and "metric's own" in told["models"][0]["units"]
    for row in told["images"]:
        scores = row["scores"]
        if row["image"].endswith("broken.jpg"):
            assert scores == {name: {"score": None, "spread": None} for name in ("contrast", "mine")}
            continue
        pixels = np.asarray(Image.open(row["image"]))
        assert scores["contrast"] == {"score": pytest.approx(pixels.std(), abs=1e-3), "spread": None}
        assert math.isfinite(scores["mine"]["spread"])
    assert [one["image"].rpartition("/")[2] for one in told["bad"]] == ["broken.jpg"]


def test_a_file_is_continued_where_it_broke_off(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, whole = tmp_path / "scores.csv", tmp_path / "whole.csv"
    names = [str(path) for path in sorted(photos.glob("*.png"))]
    assert main(["score", *CONTRAST, *names, "--csv", str(whole)]) == 0
    assert main(["score", *CONTRAST, *names[:3], "--csv", str(out)]) == 0
    out.write_bytes(out.read_bytes()[:-4])  # killed within a line
    asked: list[str] = []
    decode = scoring.decode
    monkeypatch.setattr(scoring, "decode", lambda path: asked.append(path) or decode(path))
    assert main(["score", *CONTRAST, *names, "--csv", str(out)]) == 0
    assert asked == names[2:] and out.read_bytes() == whole.read_bytes()
    assert main(["score", *CONTRAST, str(photos), "--csv", str(out)]) == 1
    assert len(table(out)) == len(names)
    assert main(["score", *CONTRAST, *names[:1], "--csv", str(out), "--restart"]) == 0
    assert len(table(out)) == 1


def test_a_relative_name_is_no_other_picture_in_another_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "scores.csv", tmp_path / "other"
    (name,) = [path.name for path in photos.glob("one*")]
    shutil.copytree(photos, other)
    monkeypatch.chdir(photos)
    assert main(["score", *CONTRAST, name, "--csv", str(out)]) == 0
    before = out.read_bytes()
    monkeypatch.chdir(other)
    assert main(["score", *CONTRAST, name, "--csv", str(out)]) == 2
    assert f"as seen from {photos}" in capsys.readouterr().err and out.read_bytes() == before
    assert main(["score", *CONTRAST, name, "--csv", str(out), "--restart"]) == 0


def test_a_file_of_other_models_or_of_somebody_else_is_refused(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.csv"
    (name,) = [str(path) for path in photos.glob("one*")]
    assert main(["score", *CONTRAST, name, "--csv", str(out)]) == 0
    before = out.read_bytes()
    assert main(["score", "--model", str(model), name, "--csv", str(out)]) == 2
    assert "other models" in capsys.readouterr().err and out.read_bytes() == before
    other = tmp_path / "mine.csv"
    other.write_text("kept\n")
    assert main(["score", *CONTRAST, name, "--csv", str(other)]) == 2
    assert "--restart" in capsys.readouterr().err and other.read_text() == "kept\n"


def test_the_page_shows_best_and_worst_and_escapes_names(photos: Path, model: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (photos / "broken.jpg").unlink()
    (photos / "one pixel.png").rename(photos / "<b>&.png")
    out = tmp_path / "s.csv"
    assert main(["score", "--model", str(model), str(photos), "--csv", str(out), "--html", str(page)]) == 0
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 3 * 7  # best, worst, most uncertain
    assert "<b>&.png" not in text and "&lt;b&gt;&amp;.png" in text and "most uncertain" in text.lower()


@pytest.mark.parametrize("lower", [False, True])
def test_the_best_images_of_the_page_follow_the_direction_of_the_scale(tmp_path: Path, lower: bool) -> None:
    names = [str(tmp_path / f"{number:02}.png") for number in range(30)]
    rows = [scoring.Scored(name, (scoring.Score(float(number)),)) for number, name in enumerate(names)]
    write_report(tmp_path / "page.html", rows, ["mine"], ["scores"], [lower])
    best, _, worst = (tmp_path / "page.html").read_text().partition("<h3>Best</h3>")[2].partition("<h3>Worst</h3>")
    shown = names if lower else names[::-1]
    assert shown[0] in best and shown[-1] not in best
    assert shown[-1] in worst and shown[0] not in worst


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photo.png"], "--model: name one"),
        (["--model", "nique", "photo.png"], "Did you mean"),
        (["--model", "supervised", "photo.png"], "is a method that learns"),
        (["--model", "pyiqa:psnr", "photo.png"], "pristine references"),
        (["--model", ".", "photo.png"], "holds neither"),
        ([*CONTRAST, "--model", "contrast", "photo.png"], "is named twice"),
        ([*CONTRAST, "photos.png"], "Did you mean photo.png"),
    ],
)
def test_wrong_usage_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("photo.png")
    if "pyiqa:psnr" in words:
        pytest.importorskip("pyiqa")
    assert main(["score", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_a_model_of_another_version_is_named(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config: dict[str, Any] = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "schema": 99}))
    assert main(["score", "--model", str(other), str(photos)]) == 2
    assert "schema 99" in capsys.readouterr().err


def test_an_image_beyond_the_limit_of_pixels_is_listed_and_the_rest_is_scored(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    huge = tmp_path / "huge.png"
    huge.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert main(["score", *CONTRAST, str(huge), str(photos / "00.png"), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in told["bad"]] == [str(huge)] and "400 megapixels" in told["bad"][0]["reason"]
    assert told["images"][1]["scores"]["contrast"]["score"] is not None


@pytest.mark.slow
def test_other_processes_give_the_same_values_in_the_same_order(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        shutil.copy(next(photos.glob("*0.png")), photos / f"copy {number:02}.png")
    alone, shared = tmp_path / "alone.csv", tmp_path / "shared.csv"
    words = ["score", "--model", str(model), str(photos)]
    assert main([*words, "--csv", str(alone), "--jobs", "1"]) == 1
    monkeypatch.setattr(scoring, "_WORTHWHILE", -1.0)
    assert main([*words, "--csv", str(shared), "--jobs", "2"]) == 1
    assert alone.read_bytes() == shared.read_bytes()


@pytest.mark.parametrize("stray", ['"photos/a.png,1,\nphotos/b.png",2,\n', '"photos/a.png,1,\n', 'a.png,"1" 2,\n'])
def test_rows_that_a_stray_quote_mark_joins_are_refused(
    photos: Path, tmp_path: Path, stray: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.csv"
    assert main(["score", str(photos / "00.png"), *CONTRAST, "--csv", str(out)]) == 0
    out.write_text(out.read_text() + stray)
    assert main(["score", str(photos / "00.png"), *CONTRAST, "--csv", str(out)]) == 2
    said = capsys.readouterr().err
    assert str(out) in said and "--restart" in said and "Error: unexpected" not in said
