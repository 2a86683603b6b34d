"""`label`: shards of predictions from folders, lists, Parquet files and tar files; restarts; bad images."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from ssliqa_bench.cli.app import main
from ssliqa_bench.models.folder import write_model_folder
from ssliqa_bench.models.load import find_model, load_model
from ssliqa_bench.photos import labelling
from ssliqa_bench.photos.pieces import pieces_of


@pytest.fixture(scope="module")
def model(finished_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = [f.parent for f in finished_store.glob("records/*/facts.json")
             if json.loads(f.read_text())["cell"]["method"] == "supervised"]  # fmt: skip
    return write_model_folder(tmp_path_factory.mktemp("model") / "mine", find_model(found[0]))


@pytest.fixture
def photos(tiny_pair: Path, tmp_path: Path) -> Path:
    """Twelve images and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((tiny_pair / "tiny-a" / "images").glob("*.png"))[:12]:
        shutil.copy(path, folder)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def rows(out: Path, kind: str = "labels") -> list[dict[str, object]]:
    return [row for file in sorted((out / kind).glob("*.parquet")) for row in parquet.read_table(file).to_pylist()]


def label(model: Path, out: Path, *words: object) -> int:
    return main(["label", "--model", str(model), "--out", str(out), "--jobs", "1", *map(str, words)])


def test_every_image_of_a_folder_has_one_row_and_the_value_of_the_model(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert label(model, out, photos, "--shard-size", "5", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["shards"], told["made"], told["images"], told["bad"]) == (3, 3, 12, 1)
    found = {str(row["image"]): row for row in rows(out)}
    good = sorted(photos.glob("*.png"))
    assert sorted(found) == [str(path) for path in good] and len(rows(out)) == 12
    values, spreads = load_model(model).with_spread(good)
    assert spreads is not None
    for path, value, spread in zip(good, values, spreads, strict=True):
        row = found[str(path)]
        assert row["prediction"] == pytest.approx(value, abs=1e-5) and row["spread"] == pytest.approx(spread, abs=1e-5)
        assert row["model"] == told["model"]
    (bad,) = rows(out, "bad")
    assert bad["image"] == str(photos / "broken.jpg") and "no known image format" in str(bad["reason"])


def test_archives_hold_the_same_images_and_give_the_same_values(photos: Path, model: Path, tmp_path: Path) -> None:
    inside = tmp_path / "archives"
    inside.mkdir()
    files = [path for path in sorted(photos.iterdir()) if path.suffix == ".png"]
    with tarfile.open(inside / "000.tar", "w") as tar:
        for path in files[:6]:
            tar.add(path, f"sub/{path.name}")
            label_of = tarfile.TarInfo(f"sub/{path.stem}.cls")
            label_of.size = 1
            tar.addfile(label_of, io.BytesIO(b"3"))
    parquet.write_table(pa.table({"id": [1, 2, 3], "jpg": [f.read_bytes() for f in files[6:9]]}), inside / "a.parquet")
    nested = [{"bytes": f.read_bytes(), "path": f.name} for f in files[9:]] + [{"bytes": None, "path": "gone.png"}]
    parquet.write_table(pa.table({"image": nested, "score": [1.0] * len(nested)}), inside / "b.parquet")
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert label(model, out, inside) == 1 and label(model, plain, *files) == 0
    found = rows(out)
    names = {str(row["image"]).removeprefix(f"{inside}/"): row["prediction"] for row in found}
    expected = [f"000.tar/sub/{f.name}" for f in files[:6]] + [f"a.parquet#{k}" for k in range(3)]
    expected += [f"b.parquet#{k}:{f.name}" for k, f in enumerate(files[9:])]
    assert list(names) == expected
    np.testing.assert_allclose(list(names.values()), [row["prediction"] for row in rows(plain)], atol=1e-5)
    (bad,) = rows(out, "bad")
    assert str(bad["image"]).endswith("b.parquet#3:gone.png") and bad["reason"] == "holds no bytes"


def test_a_restart_makes_only_what_is_missing(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole, made = tmp_path / "out", tmp_path / "whole", []
    real = labelling.make_shard

    def stopped(piece: labelling.Piece, job: object) -> labelling.Shard:
        if piece.number == 2:
            raise KeyboardInterrupt
        return real(piece, job)  # type: ignore[arg-type]

    monkeypatch.setattr(labelling, "make_shard", stopped)
    assert label(model, out, photos, "--shard-size", "4") == 130
    damaged = out / "labels" / "part-00001.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])

    def counted(piece: labelling.Piece, job: object) -> labelling.Shard:
        made.append(piece.number)
        return real(piece, job)  # type: ignore[arg-type]

    monkeypatch.setattr(labelling, "make_shard", counted)
    assert label(model, out, photos, "--shard-size", "4") == 1 and made == [1, 2, 3]
    assert label(model, out, photos, "--shard-size", "4") == 1 and made == [1, 2, 3], "nothing is left to do"
    assert label(model, whole, photos, "--shard-size", "4") == 1
    assert rows(out) == rows(whole) and rows(out, "bad") == rows(whole, "bad")
    assert not list(out.rglob("*.tmp")) and not (out / "label.lock").exists()


def test_a_folder_of_another_model_or_input_is_refused_and_replaced_on_request(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert label(model, out, photos / "00.png", photos / "01.png", "--shard-size", "1") == 0
    before = rows(out)
    assert label(model, out, photos / "00.png") == 2
    assert "other images" in capsys.readouterr().err
    contrast = ["--registry", str(Path(__file__).parents[2] / "docs/examples/contrast.yaml")]
    assert label(Path("contrast"), out, photos / "00.png", photos / "01.png", "--shard-size", "1", *contrast) == 2
    assert "another model" in capsys.readouterr().err and rows(out) == before
    assert label(model, out, photos / "00.png", "--restart") == 0
    assert [row["image"] for row in rows(out)] == [str(photos / "00.png")]
    with labelling.LabelFolder(out, labelling.Request(str(model)), pieces_of([str(photos / "00.png")])):
        assert label(model, out, photos / "00.png") == 2
    assert "another process" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert label(model, other, photos) == 2 and "mine.txt" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


def test_a_damaged_archive_loses_nothing_quietly(photos: Path, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(40):
            buffer = io.BytesIO()
            Image.fromarray(np.full((48, 48, 3), 6 * number, np.uint8)).save(buffer, "png")
            member = tarfile.TarInfo(f"{number:02d}.png")
            member.size = len(buffer.getvalue())
            tar.addfile(member, io.BytesIO(buffer.getvalue()))
    path.write_bytes(path.read_bytes()[:15_000])
    out = tmp_path / "out"
    assert label(model, out, path) == 1
    (bad,) = [row for row in rows(out, "bad") if row["image"] == str(path)]
    read = len(rows(out)) + len(rows(out, "bad")) - 1
    assert f"not readable beyond {read} images" in str(bad["reason"]) and read > 5


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.parquet", b"text", ["not readable as Parquet"]),
        ("none.tar.gz", None, ["is no file"]),
        ("words.parquet", {"a": ["x"], "b": [1]}, ["one column with image bytes", "none", "a, b"]),
        ("two.parquet", {"a": [b"x"], "b": [b"y"]}, ["columns with bytes: a, b", "--column"]),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: object, words: list[str]
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        parquet.write_table(pa.table(content), path)
    assert label(model, tmp_path / "out", path) == 2
    err = capsys.readouterr().err
    assert name in err and all(word in err for word in words) and not (tmp_path / "out").exists()
