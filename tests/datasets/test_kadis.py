"""The generator of KADIS-700k on a miniature: names, resume, damage, any number of processes, the published list."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.datasets import distortion_jobs, kadis
from ssliqa_bench.datasets.distort import KADID_KINDS
from ssliqa_bench.datasets.kadis import KadisReport, KadisRow, distort_kadis, read_kadis_list
from ssliqa_bench.errors import DataError, InputError, RunError

SHARED = Path(os.environ.get("SSLIQA_SHARED") or Path(__file__).parents[2].parent / "shared")
PUBLISHED = SHARED / "annotations" / "kadis700k"
ROWS = ("a-1.png,1,", "b-2.png,7,8", "c-3.png,11,", "d-4.png,19,", "e-5.png,25,")
HEADER = "ref_im,dist_type_1,dist_type_2"
NAMES = {f"{stem}_{code}_{level:02d}.bmp" for stem, code in
         (("a-1", "01"), ("b-2", "07"), ("c-3", "11"), ("d-4", "19"), ("e-5", "25")) for level in range(1, 6)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five references with one type each, among them one row with a second type."""
    home = tmp_path / "kadis700k"
    (home / "ref_imgs").mkdir(parents=True)
    write_list(home, *ROWS)
    for number, row in enumerate(ROWS):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)[:23, :31]
        Image.fromarray(pixels).save(home / "ref_imgs" / row.partition(",")[0])
    return home


def write_list(home: Path, *rows: str, header: str = HEADER) -> None:
    (home / "kadis700k_ref_imgs.csv").write_text("\n".join((header, *rows)) + "\n")


def contents(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "dist_imgs").iterdir()}


def test_every_row_gives_five_images(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = distort_kadis(folder, progress=lambda done, total: seen.append((done, total)))
    assert report == KadisReport(total=25, made=25, present=0, bad={})
    assert seen == [(done, 25) for done in range(0, 26, 5)]
    assert set(contents(folder)) == NAMES
    for name in NAMES:
        with Image.open(folder / "dist_imgs" / name) as image:
            assert (image.format, image.mode, image.size) == ("BMP", "RGB", (31, 23))
    reference = np.asarray(Image.open(folder / "ref_imgs" / "b-2.png")).astype(float)
    made = np.asarray(Image.open(folder / "dist_imgs" / "b-2_07_04.bmp"))
    # The first of two types is applied, as the name says: no saturation in HSV is left, the value is kept.
    np.testing.assert_array_equal(made, np.repeat(reference.max(axis=2, keepdims=True), 3, axis=2))


def test_processes_change_nothing(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    threads = cv2.getNumThreads()
    distort_kadis(folder)
    assert cv2.getNumThreads() == threads
    seen: list[int] = []
    distort_kadis(other, processes=2, progress=lambda done, total: seen.append(done))
    assert contents(folder) == contents(other)
    assert seen == list(range(0, 26, 5))


def test_random_numbers_follow_pixels_level_and_seed(folder: Path, tmp_path: Path) -> None:
    """Not the file's name, nor the other rows of the list."""
    other, third = (shutil.copytree(folder, tmp_path / name) for name in ("other", "third"))
    distort_kadis(folder)
    (other / "ref_imgs" / "c-3.png").rename(other / "ref_imgs" / "z.png")
    write_list(other, "z.png,11,")
    distort_kadis(other)
    assert (other / "dist_imgs" / "z_11_02.bmp").read_bytes() == (folder / "dist_imgs" / "c-3_11_02.bmp").read_bytes()
    distort_kadis(third, seed=1)
    changed = {name[:3] for name, data in contents(third).items() if data != contents(folder)[name]}
    assert changed == {"c-3", "d-4"}
    reference = np.asarray(Image.open(folder / "ref_imgs" / "c-3.png")).astype(float)
    noises = [(np.asarray(Image.open(folder / "dist_imgs" / f"c-3_11_0{level}.bmp")) - reference).reshape(-1)
              for level in (1, 2)]
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1


def test_resume_makes_what_is_missing_and_nothing_else(folder: Path) -> None:
    distort_kadis(folder)
    whole = contents(folder)
    home = folder / "dist_imgs"
    for name in ("a-1_01_03.bmp", "e-5_25_01.bmp", "e-5_25_05.bmp"):
        (home / name).unlink()
    # Cut short by a copy, and what a killed process leaves behind.
    (home / "c-3_11_04.bmp").write_bytes(whole["c-3_11_04.bmp"][:-100])
    (home / "d-4_19_02.bmp").write_bytes(b"")
    (home / ".a-1_01_03.bmp.x1y2.tmp").write_bytes(whole["a-1_01_03.bmp"][:50])
    kept = {name: (home / name).stat().st_mtime_ns for name in whole if (home / name).exists()}
    # References whose images are all there are not needed any more.
    (folder / "ref_imgs" / "b-2.png").unlink()
    seen: list[tuple[int, int]] = []
    report = distort_kadis(folder, progress=lambda done, total: seen.append((done, total)))
    assert report == KadisReport(total=25, made=5, present=20, bad={})
    assert seen[0] == (20, 25) and seen[-1] == (25, 25)
    assert contents(folder) == whole
    remade = {name for name, stamp in kept.items() if (home / name).stat().st_mtime_ns != stamp}
    assert remade == {"c-3_11_04.bmp", "d-4_19_02.bmp"}
    assert distort_kadis(folder) == KadisReport(total=25, made=0, present=25, bad={})


def test_stopped_in_the_middle(folder: Path, tmp_path: Path) -> None:
    """An error of the caller's own ends the work; the next call goes on, also with other processes."""
    other = shutil.copytree(folder, tmp_path / "other")
    distort_kadis(other)

    def stop(done: int, total: int) -> None:
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distort_kadis(folder, progress=stop)
    assert set(contents(folder)) == {name for name in NAMES if name[:3] in ("a-1", "b-2")}
    assert distort_kadis(folder, processes=2).made == 15
    assert contents(folder) == contents(other)


def test_a_write_that_fails_leaves_no_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def failing(self: Image.Image, path: Path, *arguments: object) -> None:
        if "c-3_11_03" in str(path):
            path.write_bytes(b"BM half")
            raise ValueError("stopped")
        save(self, path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "save", failing)
    with pytest.raises(ValueError, match="stopped"):
        distort_kadis(folder)
    assert set(contents(folder)) == {name for name in NAMES if name < "c-3_11_03.bmp"}


def test_missing_references_stop_before_anything_is_written(folder: Path) -> None:
    for name in ("b-2.png", "d-4.png"):
        (folder / "ref_imgs" / name).unlink()
    with pytest.raises(DataError, match=r"2 of 5 references are missing in .*ref_imgs \(first: b-2.png\)"):
        distort_kadis(folder)
    assert not (folder / "dist_imgs").exists()
    seen: list[tuple[int, int]] = []
    report = distort_kadis(folder, progress=lambda done, total: seen.append((done, total)), skip_bad=True)
    assert (report.total, report.made, report.present, sorted(report.bad)) == (25, 15, 0, ["b-2.png", "d-4.png"])
    assert "no such file" in report.bad["b-2.png"] and seen[0] == (10, 25) and seen[-1] == (25, 25)
    shutil.rmtree(folder / "ref_imgs")
    (folder / "dist_imgs" / "a-1_01_01.bmp").unlink()
    with pytest.raises(DataError, match=r"3 of 5 references are missing in .*ref_imgs \(first: a-1.png\)"):
        distort_kadis(folder)


@pytest.mark.parametrize("processes", [1, 2])
def test_unreadable_references_are_counted(folder: Path, processes: int) -> None:
    path = folder / "ref_imgs" / "c-3.png"
    path.write_bytes(path.read_bytes()[:300])
    (folder / "ref_imgs" / "e-5.png").write_bytes(b"")
    message = r"2 of 5 references are unreadable. First: .*c-3.png: not readable as an image"
    for _ in range(2):
        with pytest.raises(DataError, match=message):
            distort_kadis(folder, processes)
    assert len(contents(folder)) == 15
    report = distort_kadis(folder, processes, skip_bad=True)
    assert (report.made, report.present, list(report.bad)) == (0, 15, ["c-3.png", "e-5.png"])


def test_images_of_another_seed_or_program_are_not_mixed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "dist_imgs").mkdir()
    shutil.copy(folder / "ref_imgs" / "a-1.png", folder / "dist_imgs" / "a-1_01_01.bmp")
    with pytest.raises(DataError, match="holds 1 images made by another program"):
        distort_kadis(folder)
    (folder / "dist_imgs" / "a-1_01_01.bmp").unlink()
    distort_kadis(folder, seed=3)
    with pytest.raises(DataError, match="25 images made by generator version 1 with seed 3; this is version 1 with"):
        distort_kadis(folder)
    monkeypatch.setattr(kadis, "GENERATOR_VERSION", 2)
    with pytest.raises(DataError, match="made by generator version 1 with seed 3; this is version 2"):
        distort_kadis(folder, seed=3)
    shutil.rmtree(folder / "dist_imgs")
    assert distort_kadis(folder).made == 25


@pytest.mark.parametrize(("rows", "message"), [
    (("a.png,26,",), ':2: dist_type_1 is "26"; expected a type, 1 to 25'),
    (("a.png,1,", "b.png,x,"), ':3: dist_type_1 is "x"'),
    (("a.png,1,0",), ':2: dist_type_2 is "0"'),
    (("../a.png,1,",), ':2: ref_im is "../a.png"; expected a file name in ref_imgs/'),
    ((",1,",), ':2: ref_im is ""'),
    (("a.png,1,", "b.png,1,", "a.jpg,1,"), ":4: a.jpg of type 1 gives the same file names as a.png"),
    (("a.png,1",), ":2: 2 cells; expected 3"),
    ((), "has no rows"),
])
def test_a_wrong_list_is_refused(folder: Path, rows: tuple[str, ...], message: str) -> None:
    write_list(folder, *rows)
    with pytest.raises(DataError) as caught:
        distort_kadis(folder)
    assert message in str(caught.value)


def test_other_refusals(folder: Path, tmp_path: Path) -> None:
    write_list(folder, *ROWS, header="ref_im,dist_type,x")
    with pytest.raises(DataError, match=":1: header ref_im,dist_type,x; expected ref_im,dist_type_1,dist_type_2"):
        read_kadis_list(folder)
    with pytest.raises(DataError, match="no such file"):
        distort_kadis(tmp_path / "nowhere")
    with pytest.raises(InputError, match="0 processes; expected 1 or more"):
        distort_kadis(folder, processes=0)


def test_a_dead_worker_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distortion_jobs, "_start_worker", partial(os._exit, 3))
    with pytest.raises(RunError, match="a process that made images died"):
        distort_kadis(folder, processes=2)


@pytest.mark.data
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published list in {PUBLISHED}; SSLIQA_SHARED names its folder")
def test_the_published_list() -> None:
    rows = read_kadis_list(PUBLISHED)
    assert len(rows) == 140_000 and rows[0] == KadisRow("121-cc-774921.png", 23)
    assert len({row.distorted(level) for row in rows for level in kadis.LEVELS}) == 700_000
    assert Counter((row.code, row.alternative) for row in rows if row.alternative) == {(7, 8): 5529}
    counts = Counter(row.code for row in rows)
    assert set(counts) == set(KADID_KINDS) - {8} and counts[7] == 11_103
    assert all(5372 <= count <= 5799 for code, count in counts.items() if code != 7)
