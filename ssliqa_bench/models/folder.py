"""A finished model in a folder of its own, which can be copied anywhere: `config.json` and `model.safetensors`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.files import read_sealed, write_bytes, write_sealed
from ssliqa_bench.models.description import Description
from ssliqa_bench.types import Artifact

CONFIG, TENSORS = "config.json", "model.safetensors"
_KIND = "model"


@dataclass(frozen=True)
class Finished:
    """A finished model as it is kept.

    Attributes:
        description: how it is built.
        artifact: what its last stage left; None for a method without stages.
        origin: where it comes from, for people: record, method, versions.
        where: the record or folder, for messages.
    """

    description: Description
    artifact: Artifact | None
    origin: Mapping[str, Any] = field(default_factory=dict)
    where: str = "model"


def write_model_folder(folder: Path | str, model: Finished) -> Path:
    """Write a finished model to a folder; the configuration comes last and marks the folder as complete.

    Raises:
        StorageError: it cannot be written.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    tensors = {} if model.artifact is None else model.artifact.tensors
    data = save({name: np.asarray(value, order="C") for name, value in tensors.items()})
    (folder / CONFIG).unlink(missing_ok=True)
    write_bytes(folder / TENSORS, data)
    config = {
        "model": model.description.to_json(),
        "meta": None if model.artifact is None else dict(model.artifact.meta),
        "sha256": hashlib.sha256(data).hexdigest(),
        "origin": dict(model.origin),
    }
    write_sealed(folder / CONFIG, config, kind=_KIND)
    return folder


def read_model_folder(folder: Path | str) -> Finished:
    """Read a folder of `write_model_folder`.

    Raises:
        FileNotFoundError: there is no configuration.
        SchemaError: another version wrote it.
        CorruptFileError: a file is damaged or missing.
    """
    from safetensors.numpy import load

    folder = Path(folder)
    config = read_sealed(folder / CONFIG, kind=_KIND)
    description = Description.from_json(config.get("model"), str(folder / CONFIG))
    try:
        data = (folder / TENSORS).read_bytes()
    except FileNotFoundError:
        raise CorruptFileError(f"{folder / TENSORS}: is missing.") from None
    if hashlib.sha256(data).hexdigest() != config["sha256"]:
        raise CorruptFileError(f"{folder / TENSORS}: content does not match its checksum.")
    artifact = None if config["meta"] is None else Artifact(load(data), config["meta"])
    return Finished(description, artifact, config["origin"], str(folder))
