"""The rating page: answers on disk at once, resuming, several raters, and what is refused."""

from __future__ import annotations

import csv
import errno
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssliqa_bench.cli.app import main
from ssliqa_bench.errors import CorruptFileError, InputError
from ssliqa_bench.photos.rating_page import RatingServer
from ssliqa_bench.photos.ratings import Ratings, one_at_a_time

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tiny_pair: Path, tmp_path: Path) -> Path:
    """Six photographs and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((tiny_pair / "tiny-a" / "images").glob("*.png"))[:6]:
        shutil.copy(path, folder)
    (folder / "broken.jpg").write_bytes(b"none")
    return folder


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Iterator[RatingServer]:
    """The page for anna, served by a thread."""
    names = sorted(path.name for path in photos.iterdir())
    found = RatingServer(Ratings.open(tmp_path / "scores.csv", names, "anna"), [photos / name for name in names])
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def ask(
    server: RatingServer, path: str, said: Any = None, token: str | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, content and headers of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    given = {"X-Token": server.token if token is None else token, **headers}
    body = None if said is None else said if isinstance(said, bytes) else json.dumps(said).encode()
    connection.request("GET" if said is None else "POST", path, body, given)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_answer_is_on_disk_before_the_next_image_is_shown(server: RatingServer) -> None:
    answers = server.ratings.answers
    state = json.loads(ask(server, "/state")[1])
    assert state["total"] == 7 and state["done"] == 0 and state["before"] is None
    for number in range(1, 4):
        place = state["place"]
        status, content, _ = ask(server, "/rate", {"place": place, "rating": number})
        state = json.loads(content)
        assert status == 200 and state["done"] == number and state["place"] != place
        assert rows(answers)[-1] == {"image": server.ratings.images[place], "rater": "anna", "rating": str(number)}
    # back to the last one, and another answer: the last one counts
    ask(server, "/rate", {"place": state["before"], "rating": 5})
    assert len(rows(answers)) == 4 and server.ratings.found[server.ratings.images[state["before"]], "anna"] == 5
    labels = {row["image"]: float(row["score"]) for row in rows(server.ratings.labels)}
    assert len(labels) == 3 and labels[server.ratings.images[state["before"]]] == 5


def test_images_are_the_files_and_a_broken_one_is_left_out(server: RatingServer, photos: Path) -> None:
    place = server.ratings.images.index("00.png")
    status, content, headers = ask(server, f"/image?place={place}")
    assert status == 200 and content == (photos / "00.png").read_bytes() and headers["Content-Type"] == "image/png"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    broken = server.ratings.images.index("broken.jpg")
    assert ask(server, f"/image?place={broken}")[0] == 422
    state = json.loads(ask(server, "/state")[1])
    assert state["total"] == 6 and state["unreadable"] == 1
    order, befores = server.ratings.order, []
    for shown in order:
        befores.append(json.loads(ask(server, f"/state?place={shown}")[1])["before"])
    assert broken not in befores  # going back passes over it


def test_the_overview_shows_every_readable_image_as_a_thumbnail_with_its_rating(
    server: RatingServer, photos: Path
) -> None:
    names = server.ratings.images
    broken = names.index("broken.jpg")
    assert ask(server, f"/thumbnail?place={broken}")[0] == 422
    server.ratings.add(names.index("00.png"), 4)
    status, content, _ = ask(server, "/overview")
    found = json.loads(content)
    assert status == 200 and [one["place"] for one in found] == [k for k in server.ratings.order if k != broken]
    assert {one["name"]: one["rating"] for one in found if one["rating"]} == {"00.png": 4}
    status, content, headers = ask(server, f"/thumbnail?place={names.index('00.png')}")
    assert status == 200 and headers["Content-Type"] == "image/jpeg"
    small, whole = Image.open(io.BytesIO(content)), Image.open(photos / "00.png").convert("RGB")
    assert max(small.size) <= 240 and np.abs(np.asarray(small, float).mean() - np.asarray(whole, float).mean()) < 3


def test_transparent_pixels_are_white_as_for_models_and_the_content_decides_the_kind(
    server: RatingServer, photos: Path
) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(photos / "00.png")
    Image.new("RGB", (8, 8), (0, 128, 0)).save(photos / "01.png", "BMP")
    for name, colour in (("00.png", (255, 255, 255)), ("01.png", (0, 128, 0))):
        status, content, headers = ask(server, f"/image?place={server.ratings.images.index(name)}")
        assert status == 200 and headers["Content-Type"] == "image/png" and content.startswith(b"\x89PNG")
        assert Image.open(io.BytesIO(content)).getpixel((3, 3)) == colour


@pytest.mark.parametrize("row", ["00.png,anna", "00.png,anna,3,4", "", "\xff"])
def test_a_damaged_row_of_answers_is_named(photos: Path, tmp_path: Path, row: str) -> None:
    labels = tmp_path / "scores.csv"
    answers = Ratings.open(labels, ["00.png"], "anna").answers
    answers.write_bytes(f"image,rater,rating\n{row}\n".encode("latin-1"))
    with pytest.raises(CorruptFileError, match="scores.ratings.csv"):
        Ratings.open(labels, ["00.png"], "anna")


@pytest.mark.parametrize("start", [b"", b"image,ra"])
def test_a_file_of_answers_that_was_not_begun_in_full_is_begun_again(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "scores.ratings.csv").write_bytes(start)
    found = Ratings.open(tmp_path / "scores.csv", ["a.jpg"], "anna")
    found.add(0, 3)
    assert found.answers.read_text() == "image,rater,rating\na.jpg,anna,3\n"


def test_a_file_of_somebody_else_keeps_its_last_line(tmp_path: Path) -> None:
    other = tmp_path / "scores.ratings.csv"
    other.write_text("x,y\n1,2")
    with pytest.raises(CorruptFileError):
        Ratings.open(tmp_path / "scores.csv", ["a.jpg"], "anna")
    assert other.read_text() == "x,y\n1,2"


def test_an_answer_that_the_disk_does_not_take_leaves_the_file_as_it_was(
    server: RatingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = json.loads(ask(server, "/state")[1])["place"]
    before = server.ratings.answers.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("ssliqa_bench.photos.ratings.os.fsync", full)
        status, content, _ = ask(server, "/rate", {"place": place, "rating": 4})
    assert status == 507 and b"No space left" in content
    assert server.ratings.answers.read_bytes() == before and not server.ratings.found
    assert ask(server, "/rate", {"place": place, "rating": 4})[0] == 200 and len(rows(server.ratings.answers)) == 1


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/state", {"Host": "evil.example"}, 403),
        ("/state", {"Host": "evil.example:80"}, 403),
        ("/state", {"Origin": "http://evil.example"}, 403),
        ("/state", {"Origin": "null"}, 403),
        ("/", {"X-Token": ""}, 403),
        ("/", {"X-Token": "wrong"}, 403),
        ("/image?place=../../etc/passwd", {}, 404),
        ("/image?place=99", {}, 404),
        ("/thumbnail?place=../../etc/passwd", {}, 404),
        ("/thumbnail?place=99", {}, 404),
        ("/overview", {"Origin": "http://evil.example"}, 403),
        ("/thumbnail?place=0", {"X-Token": "wrong"}, 403),
        ("/../scores.csv", {}, 404),
        ("/%2e%2e/scores.csv", {}, 404),
        ("/image/00.png", {}, 404),
    ],
)
def test_foreign_requests_and_paths_are_refused(
    server: RatingServer, path: str, headers: dict[str, str], status: int
) -> None:
    found, content, _ = ask(server, path, **headers)
    assert found == status and b"{" not in content and b"root:" not in content
    if status == 403:
        assert ask(server, "/rate", {"place": 0, "rating": 3}, **headers)[0] == 403
        assert rows(server.ratings.answers) == []


@pytest.mark.parametrize(
    "said",
    [b"no JSON", {"place": 0}, {"place": 0, "rating": 6}, {"place": 0, "rating": 0}, {"place": -1, "rating": 3},
     {"place": 0, "rating": 2.5}, {"place": "0", "rating": 3}, [1, 2], b"[" * 4000],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused_and_nothing_is_written(server: RatingServer, said: Any) -> None:
    assert ask(server, "/rate", said)[0] == 400
    assert rows(server.ratings.answers) == [] and json.loads(ask(server, "/state")[1])["done"] == 0


def test_the_page_listens_on_loopback_alone_and_its_policy_lets_nothing_in(server: RatingServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    status, content, headers = ask(server, f"/?token={server.token}", token="")
    assert status == 200 and b"{{" not in content and b"anna" in content
    assert (
        headers["Content-Security-Policy"].startswith("default-src 'none'")
        and "http" not in headers["Content-Security-Policy"]
    )


def test_several_raters_give_mean_spread_and_count(tmp_path: Path) -> None:
    labels, names = tmp_path / "scores.csv", ["a.jpg", "b, c.jpg", "d.jpg"]
    given = {"anna": (1, 5), "ben": (2, 4), "eve": (5, 4)}
    for rater, values in given.items():
        ratings = Ratings.open(labels, names, rater)
        for place, value in enumerate(values):
            ratings.add(place, value)
    found = {row["image"]: row for row in rows(labels)}
    for place, name in enumerate(names[:2]):
        values = [value[place] for value in given.values()]
        assert float(found[name]["score"]) == pytest.approx(np.mean(values), abs=1e-5)
        assert float(found[name]["rating_std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-5)
        assert found[name]["n_ratings"] == "3"
    assert (
        Ratings.open(labels, names, "anna").open_images == [2]
        and len(Ratings.open(labels, names, "new").open_images) == 3
    )
    many = [f"{k}.jpg" for k in range(50)]
    orders = [Ratings.open(tmp_path / "many.csv", many, rater).order for rater in ("anna", "ben", "anna")]
    assert orders[0] == orders[2] != orders[1] and sorted(orders[1]) == list(range(50))


def test_an_answer_that_was_cut_off_is_taken_off_and_the_rest_is_kept(tmp_path: Path) -> None:
    labels = tmp_path / "scores.csv"
    ratings = Ratings.open(labels, ["a.jpg", "b.jpg"], "anna")
    ratings.add(0, 4)
    with open(ratings.answers, "ab") as file:
        file.write(b"b.jpg,an")
    again = Ratings.open(labels, ["a.jpg", "b.jpg"], "anna")
    assert again.found == {("a.jpg", "anna"): 4} and again.open_images == [1]
    again.add(1, 2)
    assert len(rows(again.answers)) == 2


def test_files_of_somebody_else_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("image,score\na.jpg,3\n")
    with pytest.raises(InputError, match="exists without its file of ratings"):
        Ratings.open(tmp_path / "scores.csv", ["a.jpg"], "anna")
    (tmp_path / "other.ratings.csv").write_text("x,y\n1,2\n")
    with pytest.raises(CorruptFileError, match="expected image, rater, rating"):
        Ratings.open(tmp_path / "other.csv", ["a.jpg"], "anna")
    with pytest.raises(InputError, match="expected a name"):
        Ratings.open(tmp_path / "new.csv", ["a.jpg"], " ")


def test_a_label_file_is_open_to_one_rating_page_at_a_time(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "scores.csv"
    with one_at_a_time(labels):
        assert main(["rate", str(photos), "--labels", str(labels), "--rater", "ben", "--no-browser"]) == 2
        assert "another rating page has it open" in capsys.readouterr().err
        with one_at_a_time(tmp_path / "other.csv"):
            pass
    with one_at_a_time(labels):
        pass
    assert [path for path in tmp_path.iterdir() if path.suffix == ".lock"] == []


def test_labels_are_taken_by_data_add(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = sorted(path.name for path in photos.glob("*.png"))
    ratings = Ratings.open(tmp_path / "scores.csv", names, "anna")
    for place in range(len(names)):
        ratings.add(place, 1 + place % 5)
    assert main(["data", "add", "rated", "--labels", "scores.csv", "--images", "photos", "--scale", "1,5"]) == 0


@pytest.mark.parametrize(
    ("table", "said"),
    [("image\n../secret.png\n", "is no file below"), ("name\n00.png\n", "image"), ("image\n", "no image")],
)
def test_names_outside_the_folder_are_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, said: str
) -> None:
    shutil.copy(photos / "00.png", tmp_path / "secret.png")
    (tmp_path / "next.csv").write_text(table)
    words = ["rate", str(photos), "--labels", str(tmp_path / "s.csv"), "--only", str(tmp_path / "next.csv")]
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_without_a_display_the_address_is_printed_and_ctrl_c_ends_it(photos: Path, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    words = [sys.executable, "-m", "ssliqa_bench", "rate", str(photos), "--labels", str(tmp_path / "scores.csv")]

    def heard() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests were started in the background

    with subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=heard) as page:  # fmt: skip
        assert page.stdout is not None
        line = page.stdout.readline()
        assert line.startswith("Open http://127.0.0.1:") and "token=" in line
        assert page.stderr is not None
        told = page.stderr.readline() + page.stderr.readline()
        page.send_signal(signal.SIGINT)
        out, err = page.communicate(timeout=60)
    assert page.returncode == 0 and "no ratings" in out
    assert "open the address yourself" in told and "Traceback" not in told + err


@pytest.mark.parametrize("stray", [
    'a.png,"anna,4\nb.png,ben",3\n',
    '"a.png,anna,4\nb.png",anna,3\n',
    'a.png,"anna,4\nb.png,anna,3\n',
    'a.png,"anna" b,4\n',
])  # fmt: skip
def test_rows_that_a_stray_quote_mark_joins_are_refused(tmp_path: Path, stray: str) -> None:
    (tmp_path / "scores.ratings.csv").write_text(f"image,rater,rating\n{stray}")
    with pytest.raises(CorruptFileError, match="scores.ratings.csv"):
        Ratings.open(tmp_path / "scores.csv", ["a.png", "b.png"], "anna")


def test_an_image_with_a_line_break_in_its_name_is_rated(tmp_path: Path) -> None:
    odd = "a\nb.png"
    Ratings.open(tmp_path / "scores.csv", [odd], "anna").add(0, 4)
    assert Ratings.open(tmp_path / "scores.csv", [odd], "anna").found == {(odd, "anna"): 4}
