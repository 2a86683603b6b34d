"""Downloads from a server on this machine: whole, broken and resumed, changed in between, refused, out of reach."""

from __future__ import annotations

import hashlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from ssliqa_bench import net
from ssliqa_bench.errors import DataError, StorageError
from tests.servers import Server

CONTENT = bytes(range(256)) * 8000


def test_a_file_comes_whole(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    steps: list[tuple[int, int]] = []
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    net.fetch(f"{server.address}/a.bin", tmp_path / "new" / "a.bin", sha256=sha256,
              progress=lambda *step: steps.append(step))  # fmt: skip
    assert (tmp_path / "new" / "a.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]
    assert steps[-1] == (len(CONTENT), len(CONTENT)) and steps == sorted(steps)


def test_a_broken_connection_is_gone_on_with_at_once(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    server.breaks = [300_000, 700_000]
    net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    ranges = [headers.get("Range") for headers in server.asked]
    assert ranges[0] is None and len(ranges) == 3 and all(r is not None for r in ranges[1:])
    assert all(headers["If-Range"] == server.etag for headers in server.asked[1:])


def test_what_came_before_the_server_went_away_is_kept_for_the_next_call(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    server.breaks = [400_000, 0, 0]
    with pytest.raises(OSError, match="broke after 400,000 bytes"):
        net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists() and (tmp_path / "a.bin.part").stat().st_size == 400_000
    server.breaks, server.asked = [], []
    net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked[0]["Range"] == "bytes=400000-" and len(server.asked) == 1


def test_a_file_that_changed_in_between_comes_from_its_beginning(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    server.breaks = [400_000, 0, 0]
    with pytest.raises(OSError, match="broke"):
        net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")
    server.breaks, server.etag = [], '"second"'
    server.files["/a.bin"] = CONTENT[::-1]
    net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_part_as_long_as_the_file_is_not_trusted(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    address = f"{server.address}/a.bin"
    (tmp_path / "a.bin.part").write_bytes(b"\0" * (len(CONTENT) + 5))
    (tmp_path / "a.bin.part.json").write_text(f'{{"address": "{address}", "mark": "\\"first\\""}}')
    net.fetch(address, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_another_checksum_is_refused_and_the_part_removed(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = CONTENT
    with pytest.raises(DataError, match=f"expected {'0' * 64}"):
        net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin", sha256="0" * 64)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/b\.bin: the server answers 404"):
        net.fetch(f"{server.address}/b.bin", tmp_path / "b.bin")


def test_a_file_for_which_there_is_no_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/a.bin"] = CONTENT
    monkeypatch.setattr(net.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(StorageError, match="still to come"):
        net.fetch(f"{server.address}/a.bin", tmp_path / "a.bin")


def test_a_server_that_accepts_and_stays_silent_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(OSError, match="timed out"):
            net.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/a.bin", tmp_path / "a.bin")


def test_a_proxy_is_what_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setattr(net.urllib.request, "proxy_bypass", lambda host: host == "near.example")
    monkeypatch.setattr(
        socket, "create_connection", lambda place, timeout: asked.append(place) or type("C", (), {"close": print})()
    )
    net.probe("https://far.example/x")
    net.probe("https://near.example/x")
    net.probe("http://near.example:81/x")
    assert asked == [("proxy.example", 3128), ("near.example", 443), ("near.example", 81)]


def test_a_name_server_that_never_answers_costs_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked = threading.Event()

    def never(*_: Any, **__: Any) -> None:
        asked.wait(30)
        raise OSError("too late to matter")

    monkeypatch.setattr(net, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(OSError, match="does not answer"):
        net.probe("https://huggingface.co/x")
    asked.set()
