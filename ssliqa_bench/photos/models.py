"""What scores photographs: a record of a store, a model folder, or a metric of the registry by its name."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssliqa_bench.errors import InputError, near_names
from ssliqa_bench.files import cache_folder, digest
from ssliqa_bench.models.description import Description
from ssliqa_bench.models.folder import CONFIG, Finished
from ssliqa_bench.models.load import LoadedModel, find_model, load_finished
from ssliqa_bench.models.origins import described
from ssliqa_bench.models.weights import own_weights
from ssliqa_bench.paths import folder_to_read
from ssliqa_bench.registry.load import load_registry
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.runner.learners import learner_of
from ssliqa_bench.runner.resolve import learner_params
from ssliqa_bench.store.records import FACTS

_EXPECTED = "the folder of a model, the key of a record, or a metric such as niqe"
_KEY = 4  # digits of a record's key that are asked for at least


@dataclass(frozen=True)
class Request:
    """A model as the command line names it; small, so that another process can open the same.

    Attributes:
        model: a folder, the first digits of a record's key, or the name of a method that learns nothing.
        store: holds the records.
        registry: further registry files.
        name: of its columns.
    """

    model: str
    store: Path = Path("runs")
    registry: tuple[Path, ...] = ()
    device: str = "cpu"
    name: str = ""

    def find(self) -> Finished:
        """The model as it is kept, not yet built.

        Raises:
            InputError: there is no such model, or it cannot judge an image alone.
        """
        folder = Path(self.model)
        if not self.model.strip():
            raise InputError(f"--model: the name is empty; expected {_EXPECTED}.")
        if os.path.isfile(folder / CONFIG) or os.path.isfile(folder / FACTS):
            return find_model(folder)
        if os.path.isdir(folder):
            raise InputError(f"--model {self.model}: holds neither {FACTS} of a record nor {CONFIG} of a model.")
        registry = load_registry(self.registry)
        if registry.has_method(self.model):
            return _metric(self.model, registry)
        return self._recorded(registry)

    def open(self) -> LoadedModel:
        """The model, built. Errors as `find` and `load_model`."""
        finished = self.find()
        if finished.description.references:
            raise InputError(f"--model {self.model}: compares images with pristine references, which photographs do "
                             f"not have. Choose a no-reference metric or a trained model.")  # fmt: skip
        folders = load_registry(self.registry).search_folders if self.registry else ()
        return load_finished(finished, device=self.device, folders=folders)

    def _recorded(self, registry: Registry) -> Finished:
        if os.path.lexists(self.model):
            folder_to_read(self.model, _EXPECTED, "--model")
        digits = len(self.model) >= _KEY and set(self.model) <= set("0123456789abcdef")
        if digits:
            return find_model(self.model, self.store)
        near = near_names(self.model, [*registry.methods, *registry.aliases["methods"]])
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f'--model "{self.model}": is no folder of a model, no metric, and no record\'s key in the store '
            f'{self.store}.{hint} "ssliqa-bench list methods" shows the metrics; those of pyiqa are named pyiqa:NAME.'
        )


def requests(
    models: Sequence[str], store: Path, registry: Sequence[Path] = (), device: str = "cpu"
) -> tuple[Request, ...]:
    """Requests with distinct names for their columns: the folder's, the metric's, or the key's first digits.

    Raises:
        InputError: the same model twice.
    """
    found: list[Request] = []
    for model in models:
        name = Path(os.path.abspath(model)).name if os.path.isdir(model) else model
        name = name[:12] if _looks_like_key(name) else name
        if any(model == other.model for other in found):
            raise InputError(f"--model {model}: is named twice.")
        while any(name == other.name for other in found):
            name += "'"
        found.append(Request(model, store, tuple(registry), device, name))
    return tuple(found)


def identity(finished: Finished) -> str:
    """A digest of what decides a model's values: how it is built, and the tensors of its last stage."""
    artifact = finished.artifact
    tensors = {} if artifact is None else {n: digest(_bytes(v)) for n, v in sorted(artifact.tensors.items())}
    return digest([finished.description.to_json(), tensors])


@functools.lru_cache(maxsize=4)
def opened(asked: tuple[Request, ...]) -> tuple[LoadedModel, ...]:
    """The models of some requests, built once in every process."""
    return tuple(request.open() for request in asked)


def _metric(name: str, registry: Registry) -> Finished:
    """A method of the registry that learns nothing, as a finished model."""
    method = registry.resolve_method(name)
    backbones = registry.backbones_of(method)
    learner = learner_of(method, backbones, registry.search_folders)
    if learner.needs.labels or learner.needs.unlabeled or learner.stages():
        raise InputError(f'--model {name}: is a method that learns. Train it first ("ssliqa-bench train" on your own '
                         f'labels, or "ssliqa-bench run"), then name the model folder or the record.')  # fmt: skip
    weights = own_weights(method, cache_folder())
    told = Description(
        builder=learner.model.path,
        params=dict(learner.model.declared(learner_params(method, backbones))),
        references=learner.needs.references is True,
        weights={} if weights is None else {"method": described(weights.sha256, method.weights)},
    )
    made = Finished(told, None, {"method": method.name}, f"method {method.name}")
    return replace(made, where=f'--model "{name}"')


def _looks_like_key(name: str) -> bool:
    return len(name) >= 32 and set(name) <= set("0123456789abcdef")


def _bytes(value: object) -> str:
    import hashlib

    import numpy as np

    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
