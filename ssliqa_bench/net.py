"""Files from the network: whether a host answers, and downloads that resume where they broke off."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

from ssliqa_bench.errors import DataError, StorageError
from ssliqa_bench.files import sha256_file

PROBE_SECONDS = 4.0
_ANSWER_SECONDS = 8.0  # without a byte, after which a connection counts as broken
_BLOCK = 1 << 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "https": 443}

# Called with the number of bytes that are here and that of the whole file (0 where the server does not say).
Progress = Callable[[int, int], None]


def probe(address: str) -> None:
    """One short attempt to reach the host of an address, so that no library retries for minutes without a network.

    Where the environment names a proxy for the address, the proxy has to answer.

    Raises:
        OSError: offline mode, or no answer in time.
    """
    hub = urlparse(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() not in ("", "0", "false")
    if offline and urlparse(address).hostname in (hub, "huggingface.co"):
        raise OSError("HF_HUB_OFFLINE is set")
    host, port = _first_hop(address)
    failed: list[OSError] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
        except OSError as error:
            failed.append(error)

    # The time limit of a connection does not hold for looking up the name, so it is held from outside.
    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(PROBE_SECONDS)
    if attempt.is_alive():
        raise OSError(f"{host} does not answer")
    if failed:
        raise failed[0]


def is_safe(address: str) -> bool:
    """Whether what comes from an address cannot be changed on its way: https, or this machine itself."""
    parts = urlparse(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def fetch(address: str, target: Path, *, sha256: str | None = None, progress: Progress | None = None) -> None:
    """Download a file to `target`, which is complete or absent; a partial download of an earlier call is resumed.

    What has arrived is in `target.part`, with `target.part.json` beside it: the address and the mark (ETag or date) by
    which the server recognises that the file is still the same. If it is not, the server sends it from its beginning.

    Raises:
        OSError: the host does not answer, or the connection broke; what has come stays for the next call.
        DataError: the server refuses, the address or one that it points to is not https, or the checksum differs
            (the part is removed).
        StorageError: there is no room for the file.
    """
    _refuse_unsafe(address)
    probe(address)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    came = -1
    while not _fetch_on(address, part, progress):
        here = _length(part)
        if here <= came:
            raise OSError(f"the connection broke after {here:,} bytes")
        came = here
    if sha256 is not None and (found := sha256_file(part)) != sha256:
        _remove(part)
        raise DataError(
            f"{address}: the downloaded file had the SHA-256 {found}; expected {sha256}. It was deleted. Run the same "
            f"command again; if that fails too, the file was changed at its source."
        )
    os.replace(part, target)
    _remove(part)


def _fetch_on(address: str, part: Path, progress: Progress | None) -> bool:
    """One connection, from where the part ends; whether the file is whole now."""
    here, mark = _state(part, address)
    headers = {"User-Agent": "ssliqa-bench", "Accept-Encoding": "identity"}
    if here:
        headers |= {"Range": f"bytes={here}-", "If-Range": mark}
    try:
        request = urllib.request.Request(address, headers=headers)
        answer = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_ANSWER_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and here:  # the part is as long as the file, or longer: ask for all of it
            _remove(part)
            return False
        if error.code >= 500 or error.code == 429:
            raise OSError(f"the server answers {error.code} {error.reason}") from error
        raise DataError(f"{address}: the server answers {error.code} {error.reason}.") from error
    except http.client.HTTPException as error:
        raise OSError(f"no answer that can be read ({error!r})") from error
    with answer:
        if answer.status != 206:
            here = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {here}-"):
            _remove(part)  # another piece than was asked for
            return False
        total = _total(answer, here)
        _check_room(part, total - here, address)
        _note(part, address, answer)
        with open(part, "r+b" if here else "wb") as handle:
            handle.seek(here)
            handle.truncate()
            while block := _read(answer):
                _write(handle, block, part)
                here += len(block)
                if progress is not None:
                    progress(here, total)
    return here == total if total else True


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address only where that is as safe as the first."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request for the next address."""
        _refuse_unsafe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_unsafe(address: str) -> None:
    if not is_safe(address):
        raise DataError(f"{address}: is not an https address; what comes from there could be changed on its way. "
                        f"Nothing was downloaded.")  # fmt: skip


def _read(answer: Any) -> bytes:
    """The next bytes; none where the file is at its end or the connection is broken."""
    try:
        found: bytes = answer.read1(_BLOCK)
        return found
    except (OSError, http.client.HTTPException):
        return b""


def _write(handle: BinaryIO, block: bytes, part: Path) -> None:
    try:
        handle.write(block)
    except OSError as error:
        raise StorageError(
            f"{part}: could not be written: {error.strerror}. The partial download is kept. Free disk space and run "
            f"the same command again; it resumes."
        ) from error


def _total(answer: Any, here: int) -> int:
    length = answer.headers.get("Content-Length")
    return here + int(length) if length and length.isdigit() else 0


def _note(part: Path, address: str, answer: Any) -> None:
    etag = answer.headers.get("ETag", "")
    # A weak mark does not promise equal bytes.
    mark = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    _beside(part).write_text(json.dumps({"address": address, "mark": mark}))


def _state(part: Path, address: str) -> tuple[int, str]:
    """How many bytes of this file are here, and the mark of the file that they belong to."""
    try:
        noted = json.loads(_beside(part).read_text())
        if noted["address"] == address and noted["mark"]:
            return _length(part), str(noted["mark"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _check_room(part: Path, needed: int, address: str) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise StorageError(
            f"{address}: {needed / 1e9:.1f} GB are still to come, and {part.parent} has {free / 1e9:.1f} GB free. Make "
            f"room or name another folder with --data-root, then run the same command again."
        )


def _first_hop(address: str) -> tuple[str, int]:
    parts = urlparse(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and parts.hostname and not urllib.request.proxy_bypass(parts.hostname):
        parts = urlparse(proxy if "//" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _remove(part: Path) -> None:
    for path in (part, _beside(part)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
