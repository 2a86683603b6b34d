"""`data download`: a dataset's archive from where it is open, unpacked beside and put in place whole.

The archive comes to `.downloads` below the data root. It is unpacked there, too, so that the dataset's folder appears
by one renaming; what a killed process left is swept away by the next one.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlparse

from ssliqa_bench.caches import cache_lock
from ssliqa_bench.datasets.archives import unpack
from ssliqa_bench.datasets.base import find_folder
from ssliqa_bench.errors import DataError, InputError, StorageError
from ssliqa_bench.files import sha256_file
from ssliqa_bench.net import fetch
from ssliqa_bench.registry.schema import DatasetEntry, DownloadFacts

LOG = logging.getLogger("ssliqa_bench")

_HOME = ".downloads"

# Gives, for what is being done, a context manager with the function that receives the bytes done and the total.
Counter = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def download(entry: DatasetEntry, data_root: Path, cache_root: Path, counter: Counter) -> Path:
    """The folder of a dataset, fetched and unpacked now where it is not there.

    Raises:
        InputError: it cannot be had without asking somebody; says what to do and what to put where. Or the network
            cannot be reached; names the address and the place.
        DataError: the archive is damaged or holds what it must not, or the server refuses.
        StorageError: there is no room.
    """
    there = find_folder(entry, data_root, cache_root)
    if there is not None:
        return there
    if entry.generator is not None:
        raise InputError(f"{entry.name}: is made on first use; there is nothing to download.")
    facts = entry.download
    if facts is None or facts.url is None:
        raise InputError(by_hand(entry, data_root))
    home = Path(data_root) / _HOME
    archive = home / _file_name(facts.url)
    with cache_lock(home / f"{archive.name}.lock", named="--data-root"):  # other entries may share the archive
        there = find_folder(entry, data_root, cache_root)
        if there is not None:
            return there
        if facts.labels is not None:
            labels = Path(data_root) / "meta_info" / _file_name(facts.labels)
            if not labels.is_file():
                _fetch(entry, facts, facts.labels, labels, data_root, counter)
        if not archive.is_file():
            _fetch(entry, facts, facts.url, archive, data_root, counter)
        folder = _unpacked(entry, facts, archive, data_root, counter)
        archive.unlink()
    return folder


def by_hand(entry: DatasetEntry, data_root: Path) -> str:
    """What a person has to do to get a dataset, and what to put where."""
    told = [f"{entry.name}: cannot be fetched by a program."]
    told.append(entry.download.note.strip() if entry.download else
                f"Put its files into {Path(data_root) / entry.folder}.")
    if entry.about.home:
        told.append(f"Home page: {entry.about.home}.")
    told.append(f'The data root is {data_root}; then "ssliqa-bench data check {entry.name}".')
    return " ".join(told)


def _fetch(
    entry: DatasetEntry, facts: DownloadFacts, address: str, target: Path, data_root: Path, counter: Counter
) -> None:
    try:
        with counter(f"{entry.name}: fetching {target.name}") as progress:
            stated = facts.sha256 if address == facts.url and facts.sha256 != "unknown" else None
            fetch(address, target, sha256=stated, progress=progress)
        if stated is None:
            LOG.warning("%s: no source states the SHA-256 of %s, so that only https vouches for it; it has %s.",
                        entry.name, address, sha256_file(target))  # fmt: skip
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        names = ", ".join(dict.fromkeys((entry.folder, *entry.other_folders)))
        beside = f" and {facts.labels} into {Path(data_root) / 'meta_info'}" if facts.labels else ""
        raise InputError(
            f"{entry.name}: {address} cannot be fetched ({reason}). Run the same command again when the network is "
            f"there; it resumes where it stopped. Or fetch {facts.url} elsewhere and unpack it into {data_root}, where "
            f"it is looked for as {names}{beside}."
        ) from error


def _unpacked(entry: DatasetEntry, facts: DownloadFacts, archive: Path, data_root: Path, counter: Counter) -> Path:
    """Unpack, and rename the one folder of the archive (or all it holds) to a name that the dataset may have."""
    part = archive.parent / f"{archive.name}.unpacked"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with counter(f"{entry.name}: unpacking {archive.name}") as progress:
            unpack(archive, part, facts.archive, progress)
        inside = [path for path in part.iterdir() if path.name not in ("__MACOSX", ".DS_Store")]
        whole = inside[0] if len(inside) == 1 and inside[0].is_dir() else part
        names = (entry.folder, *entry.other_folders)
        target = Path(data_root) / (whole.name if whole is not part and whole.name in names else entry.folder)
        os.rename(whole, target)
    except DataError as error:
        archive.unlink(missing_ok=True)
        raise DataError(f"{entry.name}: {error} The archive is removed; the same command fetches it anew.") from error
    except OSError as error:
        raise StorageError(f"{entry.name}: could not unpack into {data_root}: {error}. What was fetched stays in "
                           f"{archive} for the next call.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _file_name(address: str) -> str:
    return Path(unquote(urlparse(address).path)).name
