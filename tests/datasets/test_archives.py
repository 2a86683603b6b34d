"""Unpacking: honest archives come out whole, malicious ones are refused and write nothing outside."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssliqa_bench.datasets import archives
from ssliqa_bench.datasets.archives import unpack
from ssliqa_bench.errors import DataError, StorageError

FILES = {"set/images/1.png": b"one", "set/images/2.png": b"two" * 1000, "set/labels.csv": b"image,score\n"}


def write_tar(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info)
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(path: Path, name: str, target: str) -> Path:
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, target)
    return path


def refusal(archive: Path, kind: str, tmp_path: Path) -> str:
    """What is said of an archive; whatever it wanted, nothing stands beside the folder, and no link in it."""
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(DataError) as caught:
        unpack(archive, home / "new", kind)
    assert [path.name for path in home.iterdir()] == ["new"]
    assert not any(path.is_symlink() for path in home.rglob("*"))
    assert archive.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_tar_of_any_compression(tmp_path: Path, mode: str) -> None:
    steps: list[int] = []
    unpack(write_tar(tmp_path / "a", FILES, mode=mode), tmp_path / "new", "tar", lambda done, _: steps.append(done))
    assert {name: (tmp_path / "new" / name).read_bytes() for name in FILES} == FILES
    assert steps[-1] == sum(map(len, FILES.values()))


def test_a_zip(tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "a.zip", FILES), tmp_path / "new", "zip")
    assert {name: (tmp_path / "new" / name).read_bytes() for name in FILES} == FILES


def test_links_within_an_archive_become_copies(tmp_path: Path) -> None:
    links = (link("set/hard.png", "set/images/1.png", tarfile.LNKTYPE), link("set/soft.png", "images/1.png",
                                                                           tarfile.SYMTYPE))  # fmt: skip
    unpack(write_tar(tmp_path / "a.tgz", FILES, *links), tmp_path / "one", "tar")
    packed = zip_link(write_zip(tmp_path / "a.zip", FILES), "set/soft.png", "images/1.png")
    unpack(packed, tmp_path / "two", "zip")
    for path in (tmp_path / "one/set/hard.png", tmp_path / "one/set/soft.png", tmp_path / "two/set/soft.png"):
        assert path.read_bytes() == b"one" and not path.is_symlink() and path.stat().st_nlink == 1


LEAVING = ["../evil.txt", "set/../../evil.txt", "/tmp/ssliqa-evil.txt", "..\\evil.txt", "C:\\evil.txt", "C:/evil.txt"]


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize(("kind", "write"), [("tar", write_tar), ("zip", write_zip)])
def test_a_member_that_leaves_the_folder(
    tmp_path: Path, name: str, kind: str, write: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    assert "leaves the folder" in refusal(write(tmp_path / "a", {**FILES, name: b"evil"}), kind, tmp_path)
    assert not Path("/tmp/ssliqa-evil.txt").exists()


@pytest.mark.parametrize("target", ["../../evil", "/etc/passwd", "../set/../../evil"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_that_leaves_the_folder(tmp_path: Path, target: str, kind: bytes) -> None:
    archive = write_tar(tmp_path / "a", FILES, link("set/link", target, kind))
    assert "leaves the folder" in refusal(archive, "tar", tmp_path)


def test_a_file_behind_a_link_to_a_folder_outside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with tarfile.open(tmp_path / "a", "w") as tar:
        tar.addfile(link("set", str(tmp_path / "outside"), tarfile.SYMTYPE))
        info = tarfile.TarInfo("set/evil.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    assert "leaves the folder" in refusal(tmp_path / "a", "tar", tmp_path)
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_of_a_zip_that_leaves_the_folder(tmp_path: Path) -> None:
    archive = zip_link(write_zip(tmp_path / "a.zip", FILES), "set/link", "../../etc/passwd")
    assert "leaves the folder" in refusal(archive, "zip", tmp_path)


@pytest.mark.parametrize("target", ["images/none.png", "images", "link"])
def test_a_link_to_what_is_no_file(tmp_path: Path, target: str) -> None:
    folder = tarfile.TarInfo("set/images")
    folder.type = tarfile.DIRTYPE
    archive = write_tar(tmp_path / "a", FILES, folder, link("set/link", target, tarfile.SYMTYPE))
    said = refusal(archive, "tar", tmp_path)
    assert "no file of the archive" in said or "not readable" in said


def test_a_device(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/pipe")
    info.type = tarfile.FIFOTYPE
    assert "device or a pipe" in refusal(write_tar(tmp_path / "a", FILES, info), "tar", tmp_path)


def test_a_bomb_by_its_declared_size(tmp_path: Path) -> None:
    assert "declares more than" in refusal(write_zip(tmp_path / "a", {"a.bmp": b"\0" * 60_000_000}), "zip", tmp_path)
    info = tarfile.TarInfo("a.bmp")
    info.size = 1 << 40
    with tarfile.open(tmp_path / "b", "w") as tar:
        tar.addfile(info)  # the header alone
    (tmp_path / "second").mkdir()
    assert "declares more than" in refusal(tmp_path / "b", "tar", tmp_path / "second")


def test_a_bomb_of_links(tmp_path: Path) -> None:
    links = [link("set/l0", "images/big", tarfile.SYMTYPE)]
    links += [link(f"set/l{k}", f"l{k - 1}", tarfile.SYMTYPE) for k in range(1, 9)]
    archive = write_tar(tmp_path / "a", {"set/images/big": b"\0" * 9_000_000}, *links)
    assert "declares more than" in refusal(archive, "tar", tmp_path)


def test_more_than_the_disk_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(StorageError, match="Make room"):
        unpack(write_tar(tmp_path / "a", FILES), tmp_path / "new", "tar")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2", "zip"])
def test_a_damaged_archive(tmp_path: Path, mode: str) -> None:
    files = {"a": np.random.default_rng(0).bytes(400_000), **FILES}
    kind = "zip" if mode == "zip" else "tar"
    whole = write_zip(tmp_path / "whole", files) if kind == "zip" else write_tar(tmp_path / "whole", files, mode=mode)
    content = whole.read_bytes()
    half = len(content) // 2
    damages = [content[:half], b"<html>Not found</html>", b""]
    if mode != "w":  # a plain tar has no checksum of its files' bytes
        damages.append(content[:half] + bytes(64) + content[half + 64 :])
    for number, damaged in enumerate(damages):
        (tmp_path / str(number)).mkdir()
        (tmp_path / "damaged").write_bytes(damaged)
        assert "not readable" in refusal(tmp_path / "damaged", kind, tmp_path / str(number))


def test_an_empty_archive_and_one_whose_members_collide(tmp_path: Path) -> None:
    assert "is empty" in refusal(write_tar(tmp_path / "a", {}), "tar", tmp_path)
    (tmp_path / "second").mkdir()
    archive = write_tar(tmp_path / "b", {"set": b"a file", "set/a.png": b"in it"})
    assert "two of its members conflict" in refusal(archive, "tar", tmp_path / "second")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_no_archive_that_is_cut_short_is_taken_as_complete(tmp_path: Path, mode: str) -> None:
    whole = write_tar(tmp_path / "whole", {f"{k}.png": bytes(range(256)) * 5 for k in range(4)}, mode=mode).read_bytes()
    cuts = set(range(1, len(whole), 3))
    if mode == "w":
        end = (len(whole.rstrip(b"\0")) + 1024) // 512 * 512  # what follows the end mark fills the archive up
        blocks = set(range(512, len(whole), 512))
        cuts = {*range(1, len(whole), len(whole) // 90), *blocks} - {block for block in blocks if block >= end}
    for number, cut in enumerate(sorted(cuts)):
        (tmp_path / "cut").write_bytes(whole[:cut])
        with pytest.raises(DataError, match="cut"):
            unpack(tmp_path / "cut", tmp_path / f"new{number}", "tar")


@pytest.mark.parametrize("member", range(1, 4))
def test_a_damaged_header_is_not_the_end_of_an_archive(tmp_path: Path, member: int) -> None:
    path = write_tar(tmp_path / "a", {f"{k}.png": b"x" * 100 for k in range(4)}, mode="w")
    data = bytearray(path.read_bytes())
    data[1024 * member + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="end is missing"):
        unpack(path, tmp_path / "new", "tar")


@pytest.mark.parametrize("count", [500, 4000])
def test_links_are_copied_from_what_is_written(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive is read once, however many links it has, in whatever order they stand."""
    chain = [link(f"b{k}", f"b{k + 1}" if k < 9 else "z", tarfile.SYMTYPE) for k in range(10)]
    links = [link(f"l{k}", "z", tarfile.SYMTYPE if k % 2 else tarfile.LNKTYPE) for k in range(count)]
    archive = tmp_path / "a"
    with tarfile.open(archive, "w:gz") as tar:
        for info in chain:
            tar.addfile(info)
        info = tarfile.TarInfo("z")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
        for info in links:
            tar.addfile(info)
    opened: list[str] = []
    original = tarfile.TarFile.extractfile

    def counted(self: tarfile.TarFile, member: tarfile.TarInfo) -> object:
        opened.append(member.name)
        return original(self, member)

    monkeypatch.setattr(tarfile.TarFile, "extractfile", counted)
    unpack(archive, tmp_path / "new", "tar")
    assert opened == ["z"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        "z": b"x", **{info.name: b"x" for info in (*chain, *links)}
    }  # fmt: skip
