"""Files are whole or absent, and what was damaged is found."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench import files
from ssliqa_bench.errors import CorruptFileError, SchemaError, SsliqaError, StorageError

PAYLOAD = {"name": "übung", "values": [1, 2.5, None], "nested": {"b": 1, "a": "x"}}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    files.write_sealed(tmp_path / "thing.json", PAYLOAD, kind="thing")
    return tmp_path / "thing.json"


def test_what_is_written_replaces_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "file"
    files.write_bytes(path, b"old")
    files.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


NAMES = ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE", "ENOENT", "EISDIR", "EPERM")
REFUSALS = [getattr(errno, name) for name in NAMES]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", REFUSALS)
def test_a_full_or_read_only_disk_is_said_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError) as caught:
        files.write_text(path, "new")
    assert str(path) in str(caught.value) and "untouched" in str(caught.value)
    assert caught.value.exit_code == 1
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="in the way|Not a directory|exists"):
        files.write_text(tmp_path / "file" / "below", "x")
    with pytest.raises(StorageError), files.exclusive_lock(tmp_path / "file" / "lock"):
        pass


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / ("n" * 300), tmp_path / "folder", Path("/dev/null/below")):
        with pytest.raises(StorageError, match="Could not write"):
            files.write_text(path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_other_failures_of_the_system_are_not_renamed(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError), files.atomic_path(tmp_path / "file"):
        raise InterruptedError(errno.EINTR, "interrupted")


def test_a_real_limit_on_file_size_stops_the_writer(tmp_path: Path) -> None:
    """The operating system refuses the write itself, in a process of its own."""
    path = tmp_path / "file"
    path.write_text("old")
    script = "import sys; from ssliqa_bench.files import write_bytes; write_bytes(sys.argv[1], b'x' * 100_000)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert "StorageError" in done.stderr and done.returncode != 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sealed_files_give_back_what_they_hold(sealed: Path) -> None:
    assert files.read_sealed(sealed, kind="thing") == PAYLOAD
    body = json.loads(sealed.read_text())
    assert (body["kind"], body["schema"]) == ("thing", 1) and len(body["checksum"]) == 64


def test_sealing_refuses_numbers_that_json_does_not_have(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            files.write_sealed(tmp_path / "thing.json", {"value": value}, kind="thing")
    assert list(tmp_path.iterdir()) == []


def test_every_changed_byte_of_the_content_is_found(sealed: Path) -> None:
    original = sealed.read_bytes()
    for position, byte in enumerate(original):
        if byte in b" \n":  # layout is no content
            continue
        sealed.write_bytes(original[:position] + bytes([byte ^ 1]) + original[position + 1 :])
        with pytest.raises(CorruptFileError) as caught:
            files.read_sealed(sealed, kind="thing")
        assert str(sealed) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', '{"checksum": "0"}', "\xff\xfe"])
def test_what_is_no_sealed_file_is_corrupt(sealed: Path, text: str) -> None:
    sealed.write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptFileError, match="thing"):
        files.read_sealed(sealed, kind="thing")


def test_another_kind_and_a_later_schema_are_refused(sealed: Path) -> None:
    with pytest.raises(CorruptFileError, match="not a record"):
        files.read_sealed(sealed, kind="record")
    body = json.loads(sealed.read_text())
    sealed.write_text(json.dumps({**body, "schema": 7}))
    with pytest.raises(SchemaError, match="schema 7.*reads schema 1"):
        files.read_sealed(sealed, kind="thing")


def test_a_file_that_is_not_there_is_no_corrupt_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_sealed(tmp_path / "none.json", kind="thing")
    assert not issubclass(FileNotFoundError, SsliqaError)


def test_digest_depends_on_values_and_not_on_order() -> None:
    assert files.digest({"a": 1, "b": [1.0, "é"]}) == files.digest({"b": [1.0, "é"], "a": 1})
    different = [{"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"a": True}, {"a": [1]}, {}, [], "a", 0]
    assert len({files.digest(value) for value in different}) == len(different)


def test_setting_aside_never_hides_what_was_set_aside_before(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "thing").mkdir()
        (tmp_path / "thing" / "file").write_text(content)
        files.set_aside(tmp_path / "thing")
    assert (tmp_path / "thing.corrupt-1" / "file").read_text() == "first"
    assert (tmp_path / "thing.corrupt-2" / "file").read_text() == "second"


def _hold(folder: Path, name: str, seconds: float) -> None:
    with files.exclusive_lock(folder / "lock"):
        with open(folder / "log", "a") as log:
            log.write(f"{name} in\n")
        time.sleep(seconds)
        with open(folder / "log", "a") as log:
            log.write(f"{name} out\n")


def test_a_lock_lets_one_process_in_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_hold, args=(tmp_path, name, 0.05)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    lines = (tmp_path / "log").read_text().split()
    assert lines[1::2] == ["in", "out"] * 3
    assert lines[0::4] == lines[2::4], "whoever came in left before the next"


def test_waiting_for_a_lock_names_the_process_that_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "_PATIENCE", 0.05)
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, "a", 0.6))
    holder.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    with files.exclusive_lock(tmp_path / "lock"):
        pass
    holder.join(30)
    (line,) = caplog.messages
    assert f"Waiting for process {holder.pid} (" in line and str(tmp_path / "lock") in line


def test_a_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    holder = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, "a", 60))
    holder.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    holder.kill()
    holder.join(30)
    with files.exclusive_lock(tmp_path / "lock"):
        assert (tmp_path / "log").read_text() == "a in\n"
