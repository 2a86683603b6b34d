"""What an output folder of bulk scoring belongs to: `label.json` with model, input and settings; and its lock."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, Any

from ssliqa_bench.errors import CorruptFileError, InputError, SchemaError, StorageError
from ssliqa_bench.files import read_sealed, take_lock, write_sealed
from ssliqa_bench.photos.pieces import STATE
from ssliqa_bench.pixels.formats import decoders
from ssliqa_bench.store.provenance import library_versions, own_version

LOCK = "label.lock"
SHARDS = ("labels", "bad")
_KIND = "labels"
_LIBRARIES = ("PIL", "numpy", "pyiqa", "scipy", "timm", "torch", "torchvision")


def settings(device: str, threads: int) -> dict[str, Any]:
    """What changes predictions beside the model and the images: libraries, device, threads (CPU), decoders."""
    versions = {name: version for name, version in library_versions(_LIBRARIES).items() if version != "unknown"}
    own = {"device": device, "ssliqa-bench": own_version(), **decoders(), **versions}
    return own if device == "cuda" else {**own, "threads": threads}


def begin(out: Path, state: dict[str, Any], *, restart: bool, alone: bool) -> None:
    """Compare the folder with what an earlier call left, or empty it, and note what it belongs to from now on.

    Args:
        state: `name` and `model` of the model, number of `shards`, a digest of the `input`, `settings`.
        restart: delete the shards of an earlier call.
        alone: no other process can be writing, so that unfinished files are those of a process that was killed.

    Raises:
        InputError: the folder belongs to another model, input or settings, or holds other files.
        CorruptFileError: `label.json` is damaged and the shards are not to be replaced.
    """
    leftovers = [*out.glob(f".{STATE}.*.tmp"), *(f for kind in SHARDS for f in (out / kind).glob(".part-*.tmp"))]
    for file in leftovers if alone else ():
        file.unlink(missing_ok=True)
    known = _known(out, restart)
    if known is not None and not restart:
        _check(out, known, state)
    for kind in SHARDS if restart else ():
        for file in (out / kind).glob("part-*.parquet"):
            file.unlink()
    write_sealed(out / STATE, state, kind=_KIND)


def locked(out: Path) -> IO[str] | None:
    """The lock of an output folder; None on a file system without locks.

    Raises:
        InputError: another process holds it.
        StorageError: the folder cannot be written.
    """
    try:
        handle = take_lock(out / LOCK, wait=False)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            return None
        raise StorageError(f"--out {out}: cannot be written ({error.strerror}).") from error
    if handle is None:
        raise InputError(f"--out {out}: another process is writing to this folder. Wait for it, or name another one.")
    return handle


def _known(out: Path, restart: bool) -> dict[str, Any] | None:
    """What an earlier call left; None in an empty folder, and where it is damaged but replaced anyway."""
    try:
        return read_sealed(out / STATE, kind=_KIND)
    except FileNotFoundError:
        allowed = {LOCK}
    except (CorruptFileError, SchemaError) as error:
        if not restart:
            raise type(error)(f"{error} Name another --out, or replace the shards with --restart: {out}.") from error
        allowed = {LOCK, STATE, *SHARDS}
    others = sorted(set(os.listdir(out)) - allowed)
    if others:
        raise InputError(f"--out {out}: holds other files ({others[0]}); expected an empty folder, or one that "
                         f"label wrote.")  # fmt: skip
    return None


def _check(out: Path, known: dict[str, Any], state: dict[str, Any]) -> None:
    way = f"Name another --out, or replace the shards with --restart: {out}."
    if known["model"] != state["model"]:
        raise InputError(f"{out}: belongs to {known['name']}, a different model or different weights. {way}")
    if known["input"] != state["input"]:
        raise InputError(f"{out}: was begun with other images ({known['shards']} shards; now {state['shards']}), or a "
                         f"file has changed since. {way}")  # fmt: skip
    before, now = known.get("settings", {}), state["settings"]
    differing = [f"{name}: {before.get(name, 'none')}, now {now.get(name, 'none')}"
                 for name in sorted({*before, *now}) if before.get(name) != now.get(name)]  # fmt: skip
    if differing:
        raise InputError(f"{out}: was begun with other settings, which may change predictions "
                         f"({'; '.join(differing)}). {way}")  # fmt: skip
