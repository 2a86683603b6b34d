"""`data`: status, check, download, prepare and add, on miniatures and made archives."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from ssliqa_bench.cli.app import main
from ssliqa_bench.registry.load import load_registry
from tests.datasets.miniatures import Miniature, changed, csiq, kadid, kadis, koka10k, koniq, layouts, livec, nnid
from tests.servers import Server

Command = Callable[..., tuple[int, str, str]]
LAYOUTS = layouts()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A `data` command on the data root `data` with an empty cache: exit code, stdout, stderr."""
    monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SSLIQA_DATA", str(tmp_path / "data"))

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["data", *words])
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        return code, found.out, found.err

    return run


def checked(command: Command, made: Miniature, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and checks by name of `data check --json`, decoded in this process."""
    code, out, err = command("check", made.dataset, "--registry", str(made.registry_file()), "--jobs", "1", "--json",
                             *words)  # fmt: skip
    assert out, err
    document = json.loads(out)
    assert document["dataset"] == made.dataset
    return code, {check["name"]: check for check in document["checks"]}


# ---- status


def test_status_knows_every_dataset_and_makes_none(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("status", "--json")
    found = {one["dataset"]: one for one in json.loads(out)["datasets"]}
    assert code == 0 and len(found) >= 18
    assert found["demo-syn"]["state"] == "made on first use" and not (tmp_path / "cache" / "generated").exists()
    assert found["koniq"]["state"] == "not found" and "data download koniq" in found["koniq"]["note"]
    assert found["nnid"]["note"].endswith("prints how to get it")


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_status_of_a_whole_dataset(command: Command, tmp_path: Path, layout: str) -> None:
    made = LAYOUTS[layout](tmp_path / "data")
    _, out, _ = command("status", "--json", "--registry", str(made.registry_file()))
    found = {one["dataset"]: one for one in json.loads(out)["datasets"]}[made.dataset]
    assert found["state"] == "complete" and found["folder"] == str(made.folder)
    assert found["found"] == len(made.names)
    assert found["bytes"] == sum(path.stat().st_size for path in made.images.values())


def test_status_of_the_datasets_that_are_named(command: Command) -> None:
    alias, named = next(iter(load_registry().aliases["datasets"].items()))
    code, out, _ = command("status", "pipal-made", alias, named, "--json")
    found = json.loads(out)["datasets"]
    assert code == 0 and [one["dataset"] for one in found] == ["pipal-made", named]
    assert found[0]["state"] == "not found" and "data prepare pipal-made" in found[0]["note"]
    code, _, err = command("status", "pipal-mad")
    assert code == 2 and "Did you mean 'pipal-made'" in err


def optional_part(tmp_path: Path, layout: str) -> Miniature:
    made = koka10k.LAYOUTS[layout](tmp_path / "data")
    return changed(made, counts={**made.counts, "optional_images": 12})


@pytest.mark.parametrize(("layout", "told", "compared"), [
    ("without KADIS", "without the optional part", "30 (registry: 30)"),
    ("official", "with 12 of the optional part", "42 with the optional part; not compared: the registry counts "
                                                 "groups and references without the optional part"),
])  # fmt: skip
def test_status_and_check_tell_of_the_optional_part(command: Command, tmp_path: Path, layout: str, told: str,
                                                    compared: str) -> None:  # fmt: skip
    made = optional_part(tmp_path, layout)
    made = changed(made, counts={**made.counts, "groups": 30})
    _, out, _ = command("status", "koka10k", "--json", "--registry", str(made.registry_file()))
    (found,) = json.loads(out)["datasets"]
    assert (found["state"], found["note"]) == ("complete", told)
    code, checks = checked(command, made)
    assert code == 0 and checks["groups"]["holds"] and checks["groups"]["seen"] == compared


def test_one_broken_dataset_hides_no_other(command: Command, tmp_path: Path) -> None:
    broken = [koniq.LAYOUTS["official"](tmp_path / "data"), livec.LAYOUTS["official"](tmp_path / "data")]
    whole, less = csiq.LAYOUTS["workbook"](tmp_path / "data"), nnid.LAYOUTS["official"](tmp_path / "data")
    broken[0].labels[0].write_text("image_name,MOS\n1.jpg,nonsense\n")
    broken[1].labels[0].write_bytes(b"no matlab")
    for name in less.names[:3]:
        less.images[name].unlink()
    words = [word for made in (*broken, whole, less) for word in ("--registry", str(made.registry_file()))]
    code, out, _ = command("status", "--json", *words)
    found = {one["dataset"]: one for one in json.loads(out)["datasets"]}
    assert code == 0
    assert [found[made.dataset]["state"] for made in broken] == ["wrong", "wrong"]
    assert all(found[made.dataset]["note"] for made in broken) and found["csiq"]["state"] == "complete"
    assert found["nnid"]["state"] == "incomplete" and "3 images missing" in found["nnid"]["note"]
    assert found["koniq"]["expected"] == len(broken[0].names)
    code, out, _ = command("status", *words)
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "complete" in lines["csiq"] and str(whole.folder) in lines["csiq"]


# ---- check


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_a_whole_dataset_holds(command: Command, tmp_path: Path, layout: str) -> None:
    made = LAYOUTS[layout](tmp_path / "data")
    code, checks = checked(command, made)
    assert code == 0, [check for check in checks.values() if not check["holds"]]
    assert {"labels", "count", "names", "scores", "files", "readable", "duplicates"} <= set(checks)
    assert ("direction" in checks) == (made.facts.get("level") is not None and not made.dataset.startswith("kadis"))


def test_every_missing_and_every_unreadable_image_is_listed(command: Command, tmp_path: Path) -> None:
    made = koniq.LAYOUTS["official"](tmp_path / "data")
    gone = [made.images[name] for name in made.names[:7]]
    cut = [made.images[name] for name in made.names[7:12]]
    for path in gone:
        path.unlink()
    for path in cut:
        path.write_bytes(path.read_bytes()[:200] + path.name.encode())  # equal bytes would be one group
    code, checks = checked(command, made)
    assert code == 1
    assert sorted(checks["files"]["listed"]) == sorted(map(str, gone)) and not checks["files"]["holds"]
    assert len(checks["readable"]["listed"]) == 5 and not checks["readable"]["holds"]
    assert all(any(str(path) in line for line in checks["readable"]["listed"]) for path in cut)
    assert {name for name, check in checks.items() if not check["holds"]} == {"files", "readable"}
    code, out, _ = command("check", "koniq", "--registry", str(made.registry_file()), "--jobs", "1")
    assert code == 1 and all(str(path) in out for path in (*gone, *cut))
    assert re.search(r"^holds  count: 30 images listed \(registry: 30\)$", out, re.MULTILINE)
    assert re.search(r"^FAILS  files: 7 of 30 images have no file$", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("koniq: ")


def test_counts_against_the_registry(command: Command, tmp_path: Path) -> None:
    made = csiq.LAYOUTS["workbook"](tmp_path / "data")
    file = tmp_path / "more.yaml"
    file.write_text(yaml.safe_dump({"datasets": {"csiq": {"images": len(made.names) + 1}}}))
    code, out, _ = command("check", "csiq", "--registry", str(file), "--jobs", "1", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1 and not checks["count"]["holds"] and f"registry: {len(made.names) + 1}" in checks["count"]["seen"]
    file.write_text(yaml.safe_dump({"datasets": {"csiq": {"images": len(made.names), "groups": 3, "references": 99}}}))
    code, out, _ = command("check", "csiq", "--registry", str(file), "--jobs", "1", "--json")
    failed = {check["name"] for check in json.loads(out)["checks"] if not check["holds"]}
    assert code == 1 and failed == {"groups", "references"}


def test_labels_that_cannot_be_read(command: Command, tmp_path: Path) -> None:
    made = livec.LAYOUTS["official"](tmp_path / "data")
    made.labels[0].write_bytes(b"no matlab")
    code, checks = checked(command, made)
    assert code == 1 and set(checks) == {"labels"} and str(made.labels[0]) in checks["labels"]["seen"]


def test_scores_and_names(command: Command, tmp_path: Path) -> None:
    made = koniq.LAYOUTS["pyiqa"](tmp_path / "data")
    lines = made.labels[0].read_text().splitlines()
    lines[3] = ",".join([lines[3].split(",")[0], "101.5", lines[3].split(",")[2]])
    lines[5] = lines[4]
    made.labels[0].write_text("\n".join(lines))
    code, checks = checked(command, made)
    assert code == 1
    assert checks["scores"]["listed"] == [f"line 4 {made.names[2]}: 101.5"]
    assert checks["names"]["listed"] == [f"line 5 {made.names[3]}", f"line 6 {made.names[3]}"]


def test_ratings_split_words_and_a_lone_group(command: Command, tmp_path: Path) -> None:
    made = koniq.LAYOUTS["official"](tmp_path / "data")
    header, *lines = made.labels[0].read_text().splitlines()
    place = {name: k for k, name in enumerate(header.split(","))}
    rows = [line.split(",") for line in lines]
    for name in ("c1", "c2", "c3", "c4", "c5"):
        rows[2][place[name]] = "0"
    rows[4][place["c1"]] = "-1"
    rows[5][place["set"]] = "dev"
    made.labels[0].write_text("\n".join([header, *map(",".join, rows)]))
    code, checks = checked(command, made)
    assert code == 1 and not checks["ratings"]["holds"] and not checks["split"]["holds"]
    assert checks["ratings"]["seen"] == (f"5 levels; 2 of {len(rows)} rating distributions are negative, empty or not "
                                         f"finite")  # fmt: skip
    assert [text.partition(":")[0] for text in checks["ratings"]["listed"]] == [
        f"line {k + 2} {made.names[k]}" for k in (2, 4)
    ]
    (word,) = checks["split"]["listed"]
    assert word.startswith(f'line 7 {made.names[5]}: split is "dev"; expected one of train')
    status = {one["dataset"]: one for one in json.loads(command("status", "--json", "--registry",
                                                                str(made.registry_file()))[1])["datasets"]}
    assert status["koniq"]["state"] == "wrong" and "rating distributions" in status["koniq"]["note"]
    lone = nnid.LAYOUTS["official"](tmp_path / "other")
    file = tmp_path / "lone.yaml"
    table = tmp_path / "other" / "labels.csv"
    table.write_text("image,score,group\n" + "".join(f"{name},0.5,one\n" for name in lone.names))
    file.write_text(yaml.safe_dump({"datasets": {"lone": {
        "kind": "authentic", "scale": [0, 1], "direction": "higher_is_better", "folder": "other",
        "options": {"images": "other/NNID", "labels": "other/labels.csv"}}}}))  # fmt: skip
    code, out, _ = command("check", "lone", "--registry", str(file), "--jobs", "1", "--json")
    found = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1 and found["split"]["seen"] == "lone: has one group of scored images (one); a split needs two."
    assert [name for name, check in found.items() if not check["holds"]] == ["split"]


def test_equal_pixels_in_two_groups(command: Command, tmp_path: Path) -> None:
    made = nnid.LAYOUTS["official"](tmp_path / "data")
    first, second, third = made.names[0], made.names[1], made.names[7]
    pixels = Image.open(made.images[first])
    pixels.load()
    for k, other in enumerate((first, second, third)):  # lossless, each file with other bytes
        pixels.save(made.images[other], "png", compress_level=3 * k)
    code, checks = checked(command, made)
    assert code == 1 and checks["duplicates"]["listed"] == [f"{first} = {second} = {third}"]
    seen = checks["duplicates"]["seen"]
    assert seen.startswith("1 picture is in several groups") and "ssliqa-bench data twins nnid --write FILE" in seen
    made.images[third].write_bytes(made.images[made.names[8]].read_bytes())
    code, checks = checked(command, made)
    assert code == 0 and "2 more within one group" in checks["duplicates"]["seen"]


def test_images_of_another_dataset_inside(command: Command, tmp_path: Path) -> None:
    made, other = koniq.LAYOUTS["official"](tmp_path / "data"), nnid.LAYOUTS["official"](tmp_path / "data")
    words = ("--registry", str(other.registry_file()), "--against", "nnid")
    code, checks = checked(command, made, *words)
    assert code == 0 and checks["against nnid"]["seen"].startswith("0 of its 30 images")
    Image.open(made.images[made.names[4]]).save(tmp_path / "same.png")  # other bytes, the same pixels
    (tmp_path / "same.png").rename(other.images[other.names[2]])
    code, checks = checked(command, made, *words)
    assert code == 1 and checks["against nnid"]["listed"] == [f"{made.names[4]} = nnid/{other.names[2]}"]


def test_a_wrong_direction(command: Command, tmp_path: Path) -> None:
    made = kadid.LAYOUTS["official"](tmp_path / "data")
    code, checks = checked(command, made)
    assert code == 0 and "mean rank correlation -1.000 over 10 series, 0 of which rise" in checks["direction"]["seen"]
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump({"datasets": {"kadid": {"direction": "lower_is_better"}}}))
    code, checks = checked(command, made, "--registry", str(file))
    assert code == 1 and not checks["direction"]["holds"] and "lower is better" in checks["direction"]["seen"]


def test_processes_find_the_same(command: Command, tmp_path: Path) -> None:
    made = koniq.LAYOUTS["official"](tmp_path / "data")
    made.images[made.names[3]].write_bytes(b"no image")
    one = checked(command, made)
    assert one[0] == 1 and checked(command, made, "--jobs", "2") == one


def test_check_dataset_is_the_same(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = koniq.LAYOUTS["official"](tmp_path / "data")
    words = ("koniq", "--registry", str(made.registry_file()), "--jobs", "1")
    _, expected, _ = command("check", *words)
    assert main(["check", "dataset", *words]) == 0
    assert capsys.readouterr().out == expected


def test_what_is_no_dataset_or_not_there(command: Command) -> None:
    code, out, err = command("check", "konik")
    assert code == 2 and out == "" and 'Unknown dataset "konik"' in err
    code, out, err = command("check", "koniq")
    assert code == 2 and out == "" and "not found" in err and "data download koniq" in err


# ---- prepare


def files_of(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.glob("pixels/*/*") if path.name != "verified.json"}


def test_a_cache_made_by_several_processes_is_the_same(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kadid.LAYOUTS["official"](tmp_path / "data")
    made.images[made.names[5]].write_bytes(b"no image")
    found = []
    for jobs in ("1", "3"):
        monkeypatch.setenv("SSLIQA_CACHE", str(tmp_path / jobs))
        words = ("prepare", "kadid", "--registry", str(made.registry_file()), "--jobs", jobs, "--skip-bad")
        code, out, err = command(*words)
        assert code == 0 and f"kadid: {len(made.names) - 1} images are decoded" in out and "1 are unreadable" in out
        assert f"{made.names[5]} skipped" in err and f"kadid: decoding: {len(made.names)} images" in err
        found.append(files_of(tmp_path / jobs))
        assert "were decoded before" in command(*words)[1]
    assert found[0] == found[1] and len(found[0]) == 2
    code, _, err = command(*words[:-1])
    assert code == 2 and f"1 of {len(made.names)} images are unreadable" in err


def test_distorted_images_of_kadis(command: Command, tmp_path: Path) -> None:
    made = kadis.LAYOUTS["pristine"](tmp_path / "data")
    words = ("prepare", "kadis", "--distort", "--jobs", "1", "--registry", str(made.registry_file()))
    code, out, _ = command(*words)
    count = 5 * len(made.names)
    assert code == 0 and f"{count} of {count} distorted images made, 0 were there" in out and "not equal" in out
    assert len(list((made.folder / "dist_imgs").glob("*.bmp"))) == count
    assert f"0 of {count} distorted images made, {count} were there" in command(*words)[1]
    (made.folder / "ref_imgs" / made.names[0]).write_bytes(b"no image")
    (made.folder / "dist_imgs" / "121-cc-774921_23_03.bmp").unlink()
    assert command(*words)[0] == 2
    code, out, err = command(*words, "--skip-bad")
    assert code == 0 and "1 references skipped" in out and made.names[0] in err
    code, _, err = command("prepare", "koniq", "--distort")
    assert code == 2 and "expected kadis" in err


def test_help_says_what_our_distorted_images_are(command: Command) -> None:
    text = " ".join(re.sub(r"[│╭╰─╮╯]", " ", command("prepare", "--help")[1]).split())
    assert "resemble those of the published MATLAB generator and are not equal to them" in text


# ---- download


def packed(made: Miniature, top: str = "koniq10k") -> bytes:
    """A miniature's folder as an archive in the manner of pyiqa's mirror."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(made.folder, top)
    return buffer.getvalue()


@pytest.fixture
def mirror(server: Server, tmp_path: Path) -> tuple[Server, Miniature, Path]:
    """A server with the archive and the label file of a miniature, and the registry file that names it."""
    made = koniq.LAYOUTS["pyiqa"](tmp_path / "source")
    server.files["/koniq10k.tgz"] = packed(made)
    server.files["/meta_info_KonIQ10kDataset.csv"] = made.labels[0].read_bytes()
    facts = {"url": f"{server.address}/koniq10k.tgz", "labels": f"{server.address}/meta_info_KonIQ10kDataset.csv"}
    counts = {"images": len(made.names), "groups": len(made.names)}
    file = tmp_path / "mirror.yaml"
    file.write_text(yaml.safe_dump({"datasets": {"koniq": {**counts, "download": facts}}}))
    return server, made, file


def test_download_then_check(command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path]) -> None:
    server, made, file = mirror
    code, out, err = command("download", "koniq", "--registry", str(file))
    assert code == 0, err
    assert f"koniq: is in {tmp_path}/data/koniq10k. Next: ssliqa-bench data check koniq" in out and "Terms: " in out
    left = {path.name for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert left == {Path(name).name for name in (*made.names, "meta_info_KonIQ10kDataset.csv")}
    assert command("check", "koniq", "--registry", str(file), "--jobs", "1")[0] == 0
    server.asked.clear()
    code, out, _ = command("download", "koniq", "--registry", str(file))
    assert code == 0 and "was already in" in out and not server.asked


def test_a_download_goes_on_where_it_broke(
    command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path]
) -> None:
    server, made, file = mirror
    half = len(server.files["/koniq10k.tgz"]) // 2
    server.breaks = [10**9, half, 0, 0]
    code, out, err = command("download", "koniq", "--registry", str(file))
    assert code == 2 and out == "" and "broke after" in err and "resumes where it stopped" in err
    assert not (tmp_path / "data" / "koniq10k").exists()
    server.breaks, server.asked = [], []
    assert command("download", "koniq", "--registry", str(file))[0] == 0
    assert [headers.get("Range") for headers in server.asked] == [f"bytes={half}-"]
    assert len(list((tmp_path / "data" / "koniq10k" / "512x384").iterdir())) == len(made.names)


def test_a_malicious_archive_leaves_nothing(
    command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path]
) -> None:
    server, _, file = mirror
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("koniq10k/512x384/1.jpg", "../../evil.txt"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    server.files["/koniq10k.tgz"] = buffer.getvalue()
    code, _, err = command("download", "koniq", "--registry", str(file))
    assert code == 2 and '"../../evil.txt" leaves the folder' in err and "koniq" in err
    assert not list(tmp_path.rglob("evil.txt")) and not (tmp_path / "data" / "koniq10k").exists()
    assert {path.name for path in (tmp_path / "data" / ".downloads").iterdir()} == set()


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_damaged_archive_is_removed_and_said(
    command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path], mode: str
) -> None:
    server, made, file = mirror
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as tar:  # type: ignore[call-overload]
        tar.add(made.folder, "koniq10k")
    content = buffer.getvalue()
    half = len(content) // 2
    server.files["/koniq10k.tgz"] = content[:half] + bytes(100) + content[half + 100 :]
    code, out, err = command("download", "koniq", "--registry", str(file))
    assert code == 2 and out == "" and not (tmp_path / "data" / "koniq10k").exists()
    assert "koniq: " in err and "koniq10k.tgz: not readable as a tar archive" in err
    assert "The archive is removed; the same command fetches it anew." in err
    assert {path.name for path in (tmp_path / "data" / ".downloads").iterdir()} == set()
    server.files["/koniq10k.tgz"] = content
    assert command("download", "koniq", "--registry", str(file))[0] == 0


def test_a_wrong_checksum(command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path]) -> None:
    _, _, file = mirror
    content = yaml.safe_load(file.read_text())
    content["datasets"]["koniq"]["download"]["sha256"] = "0" * 64
    file.write_text(yaml.safe_dump(content))
    code, _, err = command("download", "koniq", "--registry", str(file))
    assert code == 2 and f"expected {'0' * 64}" in err
    content["datasets"]["koniq"]["download"]["sha256"] = "0" * 63
    file.write_text(yaml.safe_dump(content))
    code, _, err = command("download", "koniq", "--registry", str(file))
    assert code == 2 and "mirror.yaml:" in err and "64 hexadecimal digits" in err


def test_an_archive_without_a_folder_of_its_own(
    command: Command, tmp_path: Path, mirror: tuple[Server, Miniature, Path]
) -> None:
    server, made, file = mirror
    (made.folder / "readme.txt").write_text("Pictures.")
    for top in ("some-name", "."):
        server.files["/koniq10k.tgz"] = packed(made, top)
        code, _, err = command("download", "koniq", "--registry", str(file), "--data-root", str(tmp_path / top / "d"))
        assert code == 0 and (tmp_path / top / "d" / "koniq" / "512x384").is_dir(), err


def test_without_network_there_is_one_message_soon(command: Command, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    attempts = []

    def refuse(address: object, *_: object, **__: object) -> None:
        attempts.append(address)
        raise OSError("Network is unreachable")

    monkeypatch.setattr("socket.create_connection", refuse)
    code, out, err = command("download", "koniq")
    assert len(attempts) == 1  # no library retries for minutes
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "huggingface.co/datasets/chaofengc/IQA-PyTorch-Datasets/resolve/main/koniq10k.tgz" in err
    assert str(tmp_path / "data") in err and "Network is unreachable" in err


def test_what_asks_for_a_form_says_what_to_put_where(command: Command, tmp_path: Path) -> None:
    code, out, err = command("download", "live")
    assert code == 2 and out == "" and "form" in err and "databaserelease2" in err and "dmos_realigned.mat" in err
    assert "live.ece.utexas.edu" in err and str(tmp_path / "data") in err
    code, _, err = command("download", "demo-syn")
    assert code == 2 and "made on first use" in err


# ---- add


@pytest.fixture
def photographs(tmp_path: Path, tiny_pair: Path) -> Path:
    """A folder with `photos/` (24 images), `scores.csv` and `more/` (24 others and, as people have them, notes)."""
    home = tmp_path / "mine"
    shutil.copytree(tiny_pair / "tiny-a" / "images", home / "photos")
    shutil.copytree(tiny_pair / "tiny-b" / "images", home / "more" / "below")
    (home / "more" / "notes.txt").write_text("not a picture")
    shutil.copy(tiny_pair / "tiny-a" / "labels.csv", home / "scores.csv")
    return home


def adding(home: Path, *words: str, labels: str = "scores.csv") -> tuple[str, ...]:
    where = ("--labels", str(home / labels), "--images", str(home / "photos"))
    return ("add", "mine", *where, "--registry-file", str(home / "mine.yaml"), "--jobs", "1", *words)


def test_own_photographs_run(command: Command, photographs: Path, tmp_path: Path,
                             capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    file = photographs / "mine.yaml"
    code, out, err = command(*adding(photographs, "--unlabeled", str(photographs / "more"), "--scale", "1,5"))
    assert code == 0, err
    assert out.splitlines()[:2] == ["mine: 24 images", "mine-unlabeled: 24 images"]
    assert f"ssliqa-bench run --registry {file} --method ssiqa --pair mine:mine-unlabeled --recipe frozen\n" in out
    entries = yaml.safe_load(file.read_text())["datasets"]
    assert entries["mine"]["folder"] == "photos" and entries["mine"]["options"]["labels"] == "scores.csv"
    assert entries["mine-unlabeled"]["folder"] == "more" and entries["mine"]["scale"] == [1.0, 5.0]
    assert command("check", "mine-unlabeled", "--registry", str(file), "--jobs", "1")[0] == 0
    words = ["run", "--registry", str(file), "--method", "ssiqa", "--pair", "mine:mine-unlabeled", "--recipe", "check"]
    assert main([*words, "--json", "--store", str(tmp_path / "runs"), "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    (run,) = json.loads(shown.out)["runs"]
    assert run["status"] == "done" and set(run["metrics"]) == {"mine"}
    assert "mine-unlabeled: decoding, once for all runs: 24 images" in shown.err
    assert main([*words, "--json", "--store", str(tmp_path / "other"), "--device", "cpu"]) == 0
    assert "decoding" not in capsys.readouterr().err


def test_photographs_with_and_without_score_in_one_folder(command: Command, photographs: Path) -> None:
    shutil.copytree(photographs / "more" / "below", photographs / "photos" / "more")
    code, out, err = command(*adding(photographs, "--unlabeled", str(photographs / "photos")))
    assert code == 0 and "mine-unlabeled: 24 images" in out, err
    assert "the scores that occur" in out


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ("a", ("--scale", "1,5")),
        ("ab", ("--ratings", "mean")),  # two sessions without a rater in common: no other model can score them
        ("ab", ("--scale", "1,5", "--ratings", "mean")),
    ],
)
def test_a_table_of_ratings_beside_photographs_without_score(
    command: Command, photographs: Path, sessions: str, words: tuple[str, ...]
) -> None:
    names = sorted(path.name for path in (photographs / "photos").glob("*.png"))
    rows = [
        f"{name},{sessions[k % len(sessions)]}{r},{1 + (k + r) % 5}" for k, name in enumerate(names) for r in range(2)
    ]
    (photographs / "ratings.csv").write_text("\n".join(["image,rater,rating", *rows, ""]))
    shutil.copytree(photographs / "more" / "below", photographs / "photos" / "more")
    code, out, err = command(*adding(photographs, "--unlabeled", str(photographs / "photos"), *words,
                                     labels="ratings.csv"))  # fmt: skip
    assert code == 0 and out.splitlines()[:2] == ["mine: 24 images", "mine-unlabeled: 24 images"], err
    entries = yaml.safe_load((photographs / "mine.yaml").read_text())["datasets"]
    assert entries["mine"]["scale"] == [1.0, 5.0] and {"ratings", "levels"} & set(entries["mine"]["options"])
    assert set(entries["mine-unlabeled"]["options"]) == {"labels", "images"}


def test_copies_of_scored_photographs_are_told(command: Command, photographs: Path) -> None:
    shutil.copy(photographs / "photos" / "00.png", photographs / "more" / "copy.png")
    code, out, err = command(*adding(photographs, "--unlabeled", str(photographs / "more")))
    assert code == 2 and out == "" and "against mine: 1 of its 24 images" in err and "copy.png = mine/00.png" in err
    assert not (photographs / "mine.yaml").exists()


def test_columns_of_another_name(command: Command, photographs: Path) -> None:
    table = (photographs / "scores.csv").read_text().replace("image,score", "filename,MOS", 1)
    (photographs / "table.csv").write_text(table)
    code, _, err = command(*adding(photographs, labels="table.csv"))
    assert code == 2 and 'no column "image"; found filename, MOS' in err and "--columns image=" in err
    words = adding(photographs, "--columns", "image=filename,score=MOS", labels="table.csv")
    code, out, err = command(*words)
    assert code == 0 and "--method supervised --pair mine --recipe frozen\n" in out, err
    assert command("check", "mine", "--registry", str(photographs / "mine.yaml"), "--jobs", "1")[0] == 0


def test_an_existing_file_is_replaced_only_when_asked(command: Command, photographs: Path) -> None:
    (photographs / "mine.yaml").write_text("precious")
    code, _, err = command(*adding(photographs))
    assert code == 2 and "--force" in err and (photographs / "mine.yaml").read_text() == "precious"
    assert command(*adding(photographs, "--force"))[0] == 0
    assert "datasets:" in (photographs / "mine.yaml").read_text()


def test_what_is_wrong_with_own_photographs_is_told_and_nothing_written(command: Command, photographs: Path) -> None:
    def refused(*words: str, **own: str) -> str:
        code, out, err = command(*adding(photographs, *words, **own))
        assert code == 2 and out == "" and not (photographs / "mine.yaml").exists()
        assert {path.name for path in photographs.iterdir()} == {"photos", "more", "scores.csv"}
        return err

    table = photographs / "scores.csv"
    good = table.read_text()
    assert "no such file" in refused(labels="none.csv")
    assert "18 are not numbers or out of range" in refused("--scale", "1,2")
    assert "--scale LO,HI" in refused("--scale", "1,2")
    assert "expected two numbers" in refused("--scale", "5,1")
    assert "lower_is_better" in refused("--direction", "down")
    assert "is no folder" in refused("--unlabeled", str(photographs / "nowhere"))
    assert "scores.csv:1" in refused("--columns", "image=name")
    lines = good.splitlines()
    table.write_text("\n".join([lines[0], lines[1].replace(lines[1].split(",")[1], "good"), *lines[2:]]))
    assert "scores.csv:2: score is \"good\"" in refused()
    table.write_text("\n".join([*lines, lines[5]]))
    assert "2 rows share their name" in refused()
    rows = [line.split(",") for line in lines]
    rows = [[*row, *(("c1", "c2", "split") if k == 0 else ("3", "1", "train"))] for k, row in enumerate(rows)]
    rows[3][-3:], rows[4][-1] = ["0", "0", "train"], "dev"
    for row in rows[1:]:
        row[2] = "one"
    table.write_text("\n".join(map(",".join, rows)))
    said = refused()
    assert f"1 of 24 rating distributions are negative, empty or not finite\n  line 4 {rows[3][0]}: 0, 0" in said
    assert "has one group of scored images (one); a split needs two." in said and 'split is "dev"; expected' in said
    table.write_text(good.replace("00.png", "none.png"))
    assert "1 of 24 images have no file" in refused() and "none.png" in refused()
    table.write_text(good.replace("00.png", "0.png"))
    assert "0.png (near: " in refused()
    table.write_text(good)
    image = photographs / "photos" / "11.png"
    content = image.read_bytes()
    image.write_bytes(content[:100])
    assert "1 of 24 files cannot be decoded" in refused() and "11.png" in refused()
    image.write_bytes((photographs / "photos" / "20.png").read_bytes())
    code, out, err = command(*adding(photographs))  # a copy is no fault: both are one group
    assert code == 0 and (photographs / "mine.yaml").exists(), out + err
    (photographs / "mine.yaml").unlink()
    image.write_bytes(content)
    for name in ("My Photos", "koniq", "koniq10k"):
        code, _, err = command("add", name, *adding(photographs)[2:])
        assert code == 2 and f'"{name}"' in err


def test_a_folder_elsewhere_is_written_as_an_absolute_path(command: Command, photographs: Path, tmp_path: Path) -> None:
    file = tmp_path / "registry" / "mine.yaml"
    code, _, err = command(*adding(photographs), "--registry-file", str(file))
    assert code == 0, err
    assert yaml.safe_load(file.read_text())["datasets"]["mine"]["folder"] == str(photographs / "photos")
    assert command("check", "mine", "--registry", str(file), "--jobs", "1")[0] == 0


def test_a_folder_that_is_not_the_dataset_is_no_finished_download(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ssliqa_bench.cli.app import main

    (tmp_path / "csiq").mkdir()
    assert main(["data", "download", "csiq", "--data-root", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "is there, but wrong" in said.err and "move it away" in said.err and said.out == ""
