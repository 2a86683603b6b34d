"""`label`: shards of predictions from folders, lists, Parquet files and tar files; restarts; bad images."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import InputError
from ssliqa_bench.models.folder import write_model_folder
from ssliqa_bench.models.load import find_model, load_model
from ssliqa_bench.photos import label_state, labelling
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
    assert "a different model or different weights" in capsys.readouterr().err and rows(out) == before
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


def png(shade: int) -> bytes:
    """A small picture of one colour."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((48, 48, 3), shade, np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def add_file(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Append a file; the offset of its header."""
    member = tarfile.TarInfo(name)
    member.size, at = len(data), tar.offset
    tar.addfile(member, io.BytesIO(data))
    return int(at)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("checksum", "bad checksum"),
        ("truncated header", "truncated header"),
        ("boundary", "the end mark of the archive is missing"),
        ("none", ""),
    ],
)
def test_a_tar_file_that_ends_without_an_end_mark_is_a_problem(tmp_path: Path, damage: str, reason: str) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        at = [add_file(tar, f"{k}.png", png(k)) for k in range(4)][2]
    data = bytearray(path.read_bytes())
    if damage == "checksum":
        data[at + 148] ^= 1
    kept = {"truncated header": at + 100, "boundary": at}.get(damage, len(data))
    path.write_bytes(data[:kept])
    items = list(pieces_of([str(path)])[0].items())
    assert [item.name for item in items if item.data] == [f"{path}/{k}.png" for k in range(2 if reason else 4)]
    problems = [(item.name, item.problem) for item in items if item.problem]
    assert problems == ([(str(path), f"not readable beyond 2 images: {reason}")] if reason else [])


def test_links_in_a_tar_file_are_problems(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add_file(tar, "0.png", png(0))
        for name, kind in (("1.png", tarfile.SYMTYPE), ("2.png", tarfile.LNKTYPE), ("3.txt", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "0.png"
            tar.addfile(member)
    items = list(pieces_of([str(path)])[0].items())
    assert [(Path(item.name).name, "a link to 0.png" in item.problem) for item in items] == [
        ("0.png", False), ("1.png", True), ("2.png", True)
    ]  # fmt: skip


def sources(pieces: list[labelling.Piece], folder: Path) -> list[str]:
    """The archives and loose images of pieces, relative to a folder."""
    return [str(Path(name).relative_to(folder)) for piece in pieces for name in (piece.archive, *piece.files) if name]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A tar file, an image and a table without bytes, beside what is no input."""
    folder = tmp_path / "mixed"
    for name in ("x.jpg", "._x.jpg", "._a.tar", ".git/b.tar", "__MACOSX/c.tar", "deep/d.png", "deep/@eaDir/e.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    with tarfile.open(folder / "a.tar", "w") as tar:
        add_file(tar, "0.png", png(0))
    parquet.write_table(pa.table({"caption": ["x"]}), folder / "metadata.parquet")
    return folder


def test_a_pattern_and_a_folder_give_archives_and_loose_images(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert sources(pieces_of([str(mixed)]), mixed) == ["a.tar", "x.jpg", "deep/d.png"]
    assert "metadata.parquet has no column with image bytes" in caplog.text
    assert sources(pieces_of([str(mixed / "*")]), mixed) == ["a.tar", "x.jpg"]
    with pytest.raises(InputError, match="one column with image bytes"):
        pieces_of([str(mixed / "metadata.parquet")])


def test_an_output_folder_below_the_input_is_no_input(
    photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    out = Path("photos/out")
    for _ in range(2):
        assert label(model, out, "photos") == 1
        assert label(model, Path("photos/second"), "photos/**/*") == 1
    assert len(rows(out)) == len(rows(Path("photos/second"))) == 12
    assert sources(pieces_of(["photos"]), Path("photos")) == sorted(path.name for path in photos.glob("*.*"))


def test_a_name_that_is_not_utf8_is_escaped(photos: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    shutil.copy(photos / "00.png", folder)
    (folder / "broken.jpg").write_bytes(b"no image")
    parquet.write_table(pa.table({"jpg": [png(0)]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(folder / "a.parquet")
    with tarfile.open(folder / "a.tar", "w") as tar:
        add_file(tar, "0.png", png(9))
    out = tmp_path / "out"
    assert label(model, out, folder) == 1
    escaped = f"{tmp_path}/caf\\xe9"
    assert [row["image"] for row in rows(out)] == [f"{escaped}/{name}" for name in ("a.parquet#0", "a.tar/0.png",
                                                                                     "00.png")]  # fmt: skip
    (bad,) = rows(out, "bad")
    assert bad["image"] == f"{escaped}/broken.jpg" and "\udce9" not in str(bad["reason"])


@pytest.mark.parametrize("how", ["--list", "@", "-"])
def test_the_lines_of_a_list_are_names_and_a_missing_one_is_a_bad_image(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add_file(tar, "0.png", png(0))
    shutil.copy(photos / "00.png", tmp_path / "@one[1].png")
    names = tmp_path / "names.txt"
    names.write_text(f"{photos}/01.png\n@one[1].png\ngone.png\ngone.tar\n{tmp_path}/a.tar\n{photos}\n*.png\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(names.read_bytes())))
    words = {"--list": ["--list", names], "@": [f"@{names}"], "-": ["-"]}[how]
    assert label(model, Path("out"), *words) == 1
    assert [row["image"] for row in rows(Path("out"))] == [f"{tmp_path}/a.tar/0.png", f"{photos}/01.png",
                                                            "@one[1].png"]  # fmt: skip
    assert [row["image"] for row in rows(Path("out"), "bad")] == ["gone.png", "gone.tar", str(photos), "*.png"]


@pytest.mark.parametrize("change", ["content", "folder"])
def test_loose_images_that_changed_are_other_images(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    change: str,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    monkeypatch.chdir(photos)
    assert label(model, out, "00.png") == 0
    capsys.readouterr()
    assert label(model, out, "00.png") == 0 and "by an earlier call" in capsys.readouterr().err
    if change == "content":
        (photos / "00.png").write_bytes(png(7))
    else:
        shutil.copytree(photos, tmp_path / "twin")
        monkeypatch.chdir(tmp_path / "twin")
    assert label(model, out, "00.png") == 2 and "other images" in capsys.readouterr().err
    assert label(model, out, "00.png", "--restart") == 0


def test_settings_that_change_predictions_are_not_mixed(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, image = tmp_path / "out", photos / "00.png"
    assert label(model, out, image) == 0
    assert label(model, out, image, "--threads", "2", "--max-pixels", "1000000") == 2
    err = capsys.readouterr().err
    assert "max_pixels: 250000000, now 1000000; threads: 1, now 2" in err and "--restart" in err
    real = label_state.library_versions
    monkeypatch.setattr(label_state, "library_versions", lambda names: {**real(names), "torch": "0.1"})
    assert label(model, out, image) == 2
    assert ", now 0.1)" in capsys.readouterr().err
    assert label(model, out, image, "--restart") == 0


def test_a_damaged_description_is_replaced_on_request_only(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, image = tmp_path / "out", photos / "00.png"
    assert label(model, out, image) == 0
    (out / "label.json").write_text("{")
    assert label(model, out, image) != 0 and "or replace the shards with --restart" in capsys.readouterr().err
    assert (out / "label.json").read_text() == "{"
    assert label(model, out, image, "--restart") == 0 and len(rows(out)) == 1
    (out / "label.json").write_text("{")
    (out / "mine.txt").write_text("mine")
    assert label(model, out, image, "--restart") == 2 and "mine.txt" in capsys.readouterr().err


def test_unfinished_files_of_a_killed_process_are_removed(photos: Path, model: Path, tmp_path: Path) -> None:
    out, image = tmp_path / "out", photos / "00.png"
    left = [out / name for name in (".label.json.x.tmp", "labels/.part-00000.parquet.x.tmp", "bad/.part-00000.x.tmp")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for folder in ("labels", "bad"):
        shutil.move(out / folder, tmp_path / folder)
    assert label(model, out, image) == 0 and not left[0].exists(), "killed before label.json was there"
    shutil.rmtree(out / "labels")
    for folder in ("labels", "bad"):
        shutil.move(tmp_path / folder, out / folder)
    assert label(model, out, image) == 0
    assert not list(out.rglob("*.tmp")) and len(rows(out)) == 1
