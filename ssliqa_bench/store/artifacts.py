"""Artifacts of stages, checkpoints inside them, and cached predictions, each an entry of a store under its key.

Tensors are safetensors. What does not match its checksum is set aside and logged, and counts as absent: it will be
computed again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.errors import CorruptFileError, SchemaError
from ssliqa_bench.store.store import Store
from ssliqa_bench.types import Artifact, Judgement

ARTIFACTS, CHECKPOINTS, PREDICTIONS = "artifacts", "checkpoints", "predictions"
KIND = "artifact"
MARK = "artifact.json"
_TENSORS = "tensors.safetensors"
_log = logging.getLogger("ssliqa_bench")


class ArtifactStore:
    """Everything in a store that is found by key; records are kept beside it (`store.records`)."""

    def __init__(self, store: Store | str | os.PathLike[str]) -> None:
        self.store = store if isinstance(store, Store) else Store(store)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[bool]:
        """Hold the right to compute what is stored under a key; other processes wait, then find it done.

        Temporary files that a killed process left under the key are removed first.
        """
        with self.store.lock(key) as held:
            for kind in (ARTIFACTS, CHECKPOINTS, PREDICTIONS):
                self.store.remove_temporary(f"{kind}/{key}/")
            yield held

    def load(self, key: str) -> tuple[Artifact, dict[str, Any]] | None:
        """An artifact and the facts stored with it; None where it is absent or was damaged."""
        return self._load(f"{ARTIFACTS}/{key}")

    def has(self, key: str) -> bool:
        """Whether there is an artifact under a key; it is not read."""
        try:
            self.store.size(f"{ARTIFACTS}/{key}/{MARK}")
        except FileNotFoundError:
            return False
        return True

    def save(self, key: str, artifact: Artifact, facts: Mapping[str, Any]) -> None:
        """Store an artifact with facts (JSON) such as the stage's name, steps and seconds."""
        self._save(f"{ARTIFACTS}/{key}", artifact, facts)

    def remove(self, key: str) -> None:
        """Delete an artifact; nothing happens where there is none."""
        self.store.delete_entry(f"{ARTIFACTS}/{key}", mark=MARK)

    def save_checkpoint(self, key: str, state: Artifact) -> None:
        """Replace the checkpoint of the stage that will be stored under a key."""
        older = self._checkpoint(key)
        newer = f"{CHECKPOINTS}/{key}/epoch-{int(state.meta['epoch']):04d}"
        self._save(newer, state, {})
        if older is not None and older != newer:
            self.store.delete_entry(older, mark=MARK)

    def load_checkpoint(self, key: str) -> Artifact | None:
        """The newest complete checkpoint of a stage, or None."""
        folder = self._checkpoint(key)
        loaded = None if folder is None else self._load(folder)
        return None if loaded is None else loaded[0]

    def checkpoint_epoch(self, key: str) -> int | None:
        """The number of epochs after which the newest complete checkpoint of a stage was made; it is not read."""
        folder = self._checkpoint(key)
        return None if folder is None else int(folder.rpartition("-")[2])

    def clear_checkpoints(self, key: str) -> None:
        """Delete the checkpoints of a stage."""
        for path in self.store.list(f"{CHECKPOINTS}/{key}/"):
            self.store.delete(path)

    def save_predictions(self, key: str, predictions: Judgement, facts: Mapping[str, Any] | None = None) -> None:
        """Store a model's predictions for one dataset's rows, in the order of their content hashes."""
        tensors: dict[str, NDArray[Any]] = {"prediction": predictions.quality}
        if predictions.classes is not None:
            tensors["class"] = predictions.classes
        self._save(f"{PREDICTIONS}/{key}", Artifact(tensors), facts or {})

    def load_predictions(self, key: str) -> Judgement | None:
        """Predictions under a key, or None where they are absent or were damaged."""
        loaded = self._load(f"{PREDICTIONS}/{key}")
        if loaded is None:
            return None
        tensors = loaded[0].tensors
        return Judgement(np.asarray(tensors["prediction"], dtype=np.float64), tensors.get("class"))

    def damaged(self) -> list[str]:
        """Everything that does not match its checksum, one line each; it stays where it is."""
        problems = []
        for folder in self._entries():
            try:
                self._read(folder)
            except FileNotFoundError:
                continue  # cleared just now by a run in progress
            except CorruptFileError as error:
                problems.append(str(error))
        return sorted(problems)

    def _entries(self) -> Iterator[str]:
        for kind in (ARTIFACTS, CHECKPOINTS, PREDICTIONS):
            for path in self.store.list(f"{kind}/"):
                if path.endswith(f"/{MARK}") and ".corrupt-" not in path:
                    yield path.removesuffix(f"/{MARK}")

    def _checkpoint(self, key: str) -> str | None:
        marks = self.store.list(f"{CHECKPOINTS}/{key}/")
        complete = [path for path in marks if path.endswith(f"/{MARK}") and ".corrupt-" not in path]
        return complete[-1].removesuffix(f"/{MARK}") if complete else None

    def _save(self, folder: str, artifact: Artifact, facts: Mapping[str, Any]) -> None:
        from safetensors.numpy import save

        data = save({name: np.asarray(value, order="C") for name, value in artifact.tensors.items()})
        body = {"meta": dict(artifact.meta), "facts": dict(facts)}
        self.store.put_entry(folder, {_TENSORS: data}, body, kind=KIND, mark=MARK)

    def _load(self, folder: str) -> tuple[Artifact, dict[str, Any]] | None:
        try:
            return self._read(folder)
        except FileNotFoundError:
            return None
        except SchemaError as error:  # another version wrote it; it is sound, and not ours to set aside
            raise SchemaError(
                f'{error} Name another --store, or remove it: "ssliqa-bench store gc --store {self.store}" removes '
                f"what no record needs."
            ) from error
        except CorruptFileError as error:
            aside = self.store.set_aside(folder, mark=MARK).rpartition("/")[2]
            _log.warning("%s Set aside as %s; it will be computed again.", str(error), aside)
            return None

    def _read(self, folder: str) -> tuple[Artifact, dict[str, Any]]:
        from safetensors.numpy import load

        entry = self.store.read_entry(folder, kind=KIND, mark=MARK)
        if not {"meta", "facts"} <= entry.body.keys() or _TENSORS not in entry.files:
            raise CorruptFileError(f"{self.store.where(folder)}: is not complete; expected facts and tensors.")
        return Artifact(load(entry.files[_TENSORS]), entry.body["meta"]), entry.body["facts"]
