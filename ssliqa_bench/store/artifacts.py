"""Artifacts of stages, checkpoints inside them, and cached predictions, each under its key.

Tensors are safetensors; beside each file stands a sealed JSON object with its SHA-256, written last, so that
its presence means that the whole is there. What does not match its checksum is set aside and said, and
counts as absent: it will be computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.errors import CorruptFileError, SchemaError
from ssliqa_bench.files import exclusive_lock, read_sealed, set_aside, sha256_file, write_bytes, write_sealed
from ssliqa_bench.types import Artifact, Judgement

_log = logging.getLogger("ssliqa_bench")
_TENSORS = "tensors.safetensors"
_META = "artifact.json"


class ArtifactStore:
    """Everything in a store folder that is found by key; records stand beside it (`store.records`)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the right to compute what stands under a key; other processes wait, then find it done."""
        with exclusive_lock(self.root / "locks" / f"{key}.lock"):
            yield

    def load(self, key: str) -> tuple[Artifact, dict[str, Any]] | None:
        """An artifact and the facts stored with it; None where it is absent or was damaged."""
        return _load(self._folder(key))

    def save(self, key: str, artifact: Artifact, facts: Mapping[str, Any]) -> None:
        """Store an artifact with facts (JSON) such as the stage's name, steps and seconds."""
        _save(self._folder(key), artifact, facts)

    def remove(self, key: str) -> None:
        """Delete an artifact; nothing happens where there is none."""
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def save_checkpoint(self, key: str, state: Artifact) -> None:
        """Replace the checkpoint of the stage that will stand under a key."""
        older = self._checkpoint(key)
        epoch = int(state.meta["epoch"])
        _save(self._checkpoints(key) / f"epoch-{epoch:04d}", state, {})
        if older is not None and older.name != f"epoch-{epoch:04d}":
            shutil.rmtree(older, ignore_errors=True)

    def load_checkpoint(self, key: str) -> Artifact | None:
        """The newest whole checkpoint of a stage, or None."""
        folder = self._checkpoint(key)
        loaded = None if folder is None else _load(folder)
        return None if loaded is None else loaded[0]

    def clear_checkpoints(self, key: str) -> None:
        """Delete the checkpoints of a stage."""
        shutil.rmtree(self._checkpoints(key), ignore_errors=True)

    def save_predictions(self, key: str, predictions: Judgement) -> None:
        """Store what a model says of one dataset's rows, in the order of their content hashes."""
        tensors: dict[str, NDArray[Any]] = {"prediction": predictions.quality}
        if predictions.classes is not None:
            tensors["class"] = predictions.classes
        _save(self._prediction(key), Artifact(tensors), {})

    def load_predictions(self, key: str) -> Judgement | None:
        """Predictions under a key, or None where they are absent or were damaged."""
        loaded = _load(self._prediction(key))
        if loaded is None:
            return None
        tensors = loaded[0].tensors
        return Judgement(np.asarray(tensors["prediction"], dtype=np.float64), tensors.get("class"))

    def damaged(self) -> list[str]:
        """What does not match its checksum, one line each; everything stays where it is."""
        problems = []
        for kind in ("artifacts", "checkpoints", "predictions"):
            for place, _, names in os.walk(self.root / kind):
                if _META not in names or ".corrupt-" in place:
                    continue
                try:
                    _read(Path(place))
                except FileNotFoundError:
                    continue  # cleared just now by a run at work
                except CorruptFileError as error:
                    problems.append(str(error))
        return sorted(problems)

    def _folder(self, key: str) -> Path:
        return self.root / "artifacts" / key

    def _prediction(self, key: str) -> Path:
        return self.root / "predictions" / key

    def _checkpoints(self, key: str) -> Path:
        return self.root / "checkpoints" / key

    def _checkpoint(self, key: str) -> Path | None:
        whole = [p for p in self._checkpoints(key).glob("epoch-*") if (p / _META).is_file() and "corrupt" not in p.name]
        return max(whole, key=lambda p: p.name, default=None)


def _save(folder: Path, artifact: Artifact, facts: Mapping[str, Any]) -> None:
    from safetensors.numpy import save

    data = save({name: np.asarray(value, order="C") for name, value in artifact.tensors.items()})
    (folder / _META).unlink(missing_ok=True)
    write_bytes(folder / _TENSORS, data)
    checksum = hashlib.sha256(data).hexdigest()
    body = {"tensors_sha256": checksum, "meta": dict(artifact.meta), "facts": dict(facts)}
    write_sealed(folder / _META, body, kind="artifact")


def _load(folder: Path) -> tuple[Artifact, dict[str, Any]] | None:
    try:
        return _read(folder)
    except FileNotFoundError:
        return None
    except SchemaError:
        raise  # another version wrote it; it is sound, and not ours to set aside
    except CorruptFileError as error:
        _log.warning("%s Set aside as %s; it will be computed again.", error, set_aside(folder).name)
        return None


def _read(folder: Path) -> tuple[Artifact, dict[str, Any]]:
    from safetensors.numpy import load_file

    body = read_sealed(folder / _META, kind="artifact")
    tensors = folder / _TENSORS
    if not tensors.is_file() or sha256_file(tensors) != body["tensors_sha256"]:
        raise CorruptFileError(f"{tensors}: content does not match its checksum.")
    return Artifact(load_file(tensors), body["meta"]), body["facts"]
