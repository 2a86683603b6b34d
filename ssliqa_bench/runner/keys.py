"""Keys: everything that determines a result, and nothing else. Every formula is here.

- A stage key holds what the stage reads (sets, counts, artifacts of earlier stages, parameters, weights), which
  definition runs and all code behind it, the seed and the machine's numerics.
- A model key is that of the last stage; of a method that learns nothing, what its model is made of.
- A prediction key, per dataset, holds the model key, the dataset's rows, and what asks the model.
- A run key, the name of a record, holds the cell of the board and all that these are made of.

No name of a method, class or file is part of a stage, model or prediction key. What a person wants to read about the
code behind a key (files, names of definitions) is kept beside it, see `told`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssliqa_bench.files import canonical_json, digest, finite_or_none
from ssliqa_bench.pixels.formats import HEIF_ENDINGS
from ssliqa_bench.runner.code import Code

# How pixels are read from files.
DECODER_CODE = ("ssliqa_bench.pixels.decode",)
# Code behind every result beside its own: how pixels are read, and how image sets are made of them.
SETS_CODE = (*DECODER_CODE, "ssliqa_bench.runner.sets")
# Optional decoders and the endings of the only files that need them.
FORMAT_DECODERS = {"pillow_heif": HEIF_ENDINGS}
# How features of a frozen network are made, for a learner that receives these in place of pixels.
FEATURES_CODE = ("ssliqa_bench.models.feature_views",)
# How numerical libraries are set up before anything is computed.
_NUMERICS_CODE = ("ssliqa_bench.runner.numerics",)
# How a stage receives its sets, parameters and seed.
STAGE_CODE = ("ssliqa_bench.runner.stage_context", *_NUMERICS_CODE)
# What the builder of a model receives, how the model is asked, and what it sees of an image.
PREDICTION_CODE = (
    "ssliqa_bench.runner.model_context",
    "ssliqa_bench.models.predict",
    "ssliqa_bench.training.views",
    *_NUMERICS_CODE,
)
# All that the runner adds to the code of a method.
RUN_CODE = tuple(dict.fromkeys((*STAGE_CODE, *PREDICTION_CODE)))

_ABSENT = object()


@dataclass(frozen=True)
class Machine:
    """What of a machine a result depends on.

    Attributes:
        processes: how many share the work of a run's networks.
    """

    device: str
    precision: str
    threads: int
    processes: int = 1


@dataclass(frozen=True)
class Behind:
    """Code behind a result.

    Attributes:
        definitions: what runs (`entry`) and what parameters name, as `module:Name`.
        modules: further modules, all that is in them.
    """

    definitions: Mapping[str, str]
    modules: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All of it, as `Code` takes it."""
        return (*self.definitions.values(), *self.modules)

    def part(self, code: Code) -> dict[str, Any]:
        """As a key holds it: hashes alone."""
        found: dict[str, Any] = {name: code.definition(path).part for name, path in self.definitions.items()}
        return {**found, "modules": sorted(code.tree(module) for module in self.modules)}

    def told(self, code: Code) -> dict[str, Any]:
        """As records hold it beside the key, for a person: names of the definitions, and hashes of every file."""
        files, imports = code.files(self.paths), code.imports(self.paths)
        return {"definitions": dict(self.definitions), "files": files, "imports": imports}


def behind(entry: str, named: Mapping[str, str], *modules: str, features: bool) -> Behind:
    """The code behind a result: its entry, what its parameters name, some modules, and how its images come to it.

    Args:
        entry: what runs, as `module:Name`.
        named: `module:Name` by parameter.
        features: whether it receives features of a frozen network in place of pixels.
    """
    images = (*SETS_CODE, *FEATURES_CODE) if features else SETS_CODE
    return Behind({"entry": entry, **named}, (*images, *modules))


def stage_key(
    *,
    name: str,
    settings: Mapping[str, Any],
    sets: Mapping[str, str],
    counts: Mapping[str, int],
    inputs: Mapping[str, str],
    params: Mapping[str, Any],
    weights: Mapping[str, str],
    code: Mapping[str, Any],
    versions: Mapping[str, str],
    seed: int,
    machine: Machine,
) -> str:
    """The key of a stage's artifact.

    Args:
        name: of the stage; random streams are named by it.
        settings: what the learner fixed when it made the stage.
        sets: `set_digest` of each set that the stage receives.
        counts: the numbers of images that it receives.
        inputs: keys of the stages whose artifacts it receives, by name.
        params: the parameters that it receives, as `key_params` gives them.
        weights: SHA-256 of each file of pretrained weights that it receives, by parameter.
        code: `Behind.part` of the function that runs and of what its parameters name.
        versions: of the libraries that this code imports.
    """
    return make_key(
        {
            "stage": name,
            "settings": dict(settings),
            "sets": dict(sets),
            "counts": dict(counts),
            "inputs": dict(inputs),
            "params": dict(params),
            "weights": dict(weights),
            "code": dict(code),
            "versions": dict(versions),
            "seed": seed,
            **_numerics(machine),
        }
    )


def model_key(
    stages: Sequence[str],
    *,
    params: Mapping[str, Any],
    weights: Mapping[str, str],
    code: Mapping[str, Any],
    versions: Mapping[str, str],
    machine: Machine,
) -> str:
    """The key of a model: that of the last stage, or, without stages, of all that the method itself is made of."""
    if stages:
        return stages[-1]
    return make_key(
        {
            "params": dict(params),
            "weights": dict(weights),
            "code": dict(code),
            "versions": dict(versions),
            "device": machine.device,
            "precision": machine.precision,
        }
    )


def prediction_key(
    *,
    model: str,
    fingerprint: str,
    rows: str,
    params: Mapping[str, Any],
    code: Mapping[str, Any],
    versions: Mapping[str, str],
    machine: Machine,
) -> str:
    """The key of a model's predictions for the test images of one dataset.

    Args:
        model: the model key.
        fingerprint, rows: of the dataset, and `set_digest` of the images that are asked about.
        params: the parameters that the model receives, as `key_params` gives them.
        code: `Behind.part` of what makes the model of an artifact, and of what asks it.
    """
    return make_key(
        {
            "model": model,
            "fingerprint": fingerprint,
            "rows": rows,
            "params": dict(params),
            "code": dict(code),
            "versions": dict(versions),
            **_numerics(machine),
        }
    )


def run_parts(
    *,
    cell: Mapping[str, Any],
    params: Mapping[str, Any],
    weights: Mapping[str, str],
    code: Mapping[str, Any],
    versions: Mapping[str, str],
    rows: Mapping[str, Mapping[str, Any]],
    protocol: Mapping[str, Any],
    unlabeled_role: str,
    seed: int,
    machine: Machine,
) -> dict[str, Any]:
    """What a run key is the hash of, as records hold it.

    Args:
        cell: what a board calls one cell, as `cell_part` gives it: two cells keep records of their own, also where
            they share a model.
        params: all parameters of the method, as `key_params` gives them.
        code: `Behind.part` of the method's class and of what its parameters name.
        rows: `dataset_part` of every dataset that is learned from.
        protocol: fields of the protocol that decide what is learned from or what is computed of predictions.
        unlabeled_role: "labeled" for the oracle.
    """
    return {
        "cell": dict(cell),
        "params": dict(params),
        "weights": dict(weights),
        "code": dict(code),
        "versions": dict(versions),
        "rows": {name: dict(own) for name, own in rows.items()},
        **protocol,
        "unlabeled_role": unlabeled_role,
        "seed": seed,
        **_numerics(machine),
    }


def cell_part(cell: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """A cell as run keys hold it: a class that an override names is left out; it is in `code`.

    Args:
        named: what parameters name, `module:Name` by parameter.
    """

    asked = cell["overrides"]
    overrides = {name: {} if name in named and value == named[name] else value for name, value in asked.items()}
    return {**cell, "overrides": overrides}


def submission_parts(
    *, cell: Mapping[str, Any], inputs: str, lower_is_better: bool, dataset: str, fingerprint: str, split_hash: str
) -> dict[str, Any]:
    """What the run key of predictions made elsewhere is the hash of; their model key is the same hash.

    Args:
        cell: as in `run_parts`.
        inputs: checksum of what the metrics are computed from.
        fingerprint, split_hash: of the dataset, and of who is in its test part.
    """
    return {
        "cell": dict(cell),
        "submission": {"inputs": inputs, "lower_is_better": lower_is_better},
        "rows": {dataset: {"fingerprint": fingerprint, "split": split_hash}},
    }


def submitted_prediction_key(inputs: str) -> str:
    """Key of predictions made elsewhere: they are what they are, whatever made them."""
    return digest(["submitted", inputs])


def dataset_part(
    *,
    fingerprint: str,
    names: Sequence[str],
    roles: Sequence[str],
    scores: str,
    working_size: int | None,
    references: str | None,
) -> dict[str, Any]:
    """One dataset of a run as run keys hold it: what it is, and which of its images has which role.

    Args:
        fingerprint: of file bytes, names and scores.
        scores: `scores_part` of the dataset.
        working_size: short side, pixels, that images are resized to; None as they are.
        references: identity of the pristine images, for a method that receives them.
    """
    members: dict[str, list[str]] = {}
    for name, role in zip(names, roles, strict=True):
        members.setdefault(role, []).append(name)
    part = {
        "fingerprint": fingerprint,
        "roles": {role: digest(sorted(own)) for role, own in sorted(members.items()) if role != "unused"},
        "scores": scores,
        "working_size": working_size,
    }
    return part if references is None else {**part, "references": references}


def scores_part(names: Sequence[str], told: Sequence[Sequence[float]]) -> str:
    """Digest of the scores on the learner's scale and the statistics of ratings of every image of a dataset."""
    return digest(sorted([name, *_finite(list(own))] for name, own in zip(names, told, strict=True)))


def image_part(
    *, file: str, short_side: int | None, told: Sequence[float | list[float]] = (), reference: str | None = None
) -> list[Any]:
    """One image of a set as keys hold it.

    Args:
        file, reference: SHA-256 of the image file and, for a stage that compares the two, of its pristine image.
        short_side: pixels that it is resized to; None as it is.
        told: its score on the learner's scale and statistics of its ratings, as far as the learner receives them.
    """
    return [file, short_side, [_finite(value) for value in told], reference]


def set_digest(images: Iterable[Sequence[Any]], decoder: Mapping[str, Any]) -> str:
    """Digest of a set: its images in any order, each as often as it is there, and what decodes them.

    Args:
        images: as `image_part` gives them.
        decoder: versions of what turns files into pixels.
    """
    return digest({"decoder": dict(decoder), "images": sorted(images, key=canonical_json)})


def make_key(parts: Mapping[str, Any]) -> str:
    """The key (64 hexadecimal digits) of everything in `parts`; the order of entries does not matter."""
    return digest(parts)


def key_params(
    params: Mapping[str, Any], named: Mapping[str, str], frozen: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters as keys hold them: what names a class enters by its arguments; the class itself is in `code`.

    Args:
        named: the classes that parameters name, `module:Class` by parameter.
        frozen: by parameter, what identifies the features that a network reads in place of pixels.
    """
    found = {
        name: value if name not in named else dict(value.get("arguments", {})) if isinstance(value, Mapping) else {}
        for name, value in params.items()
    }
    return found | {name: {**found[name], "features": own} for name, own in (frozen or {}).items() if name in found}


@dataclass(frozen=True)
class Difference:
    """One entry that two keys do not share; `old` or `new` is None where the entry is absent."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.path.startswith("code."):
            change = "new" if self.old is None else "gone" if self.new is None else "changed"
            return f"{self.path.replace('code.', 'code ', 1)} ({change})"
        if self.path.startswith("imports."):
            return f"{self.path.replace('.', ' of ', 1)} (changed)"
        if self.path.startswith("definition."):
            return f"{self.path.replace('.', ' ', 1)} ({self.old or 'none'} -> {self.new or 'none'})"
        return f"{self.path} ({_short(self.old)} -> {_short(self.new)})"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[Difference]:
    """Every leaf in which two nested objects differ, sorted by path."""
    found: list[Difference] = []
    for name in sorted({*old, *new}):
        a, b = old.get(name, _ABSENT), new.get(name, _ABSENT)
        path = f"{prefix}{name}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{path}.")
        elif a is _ABSENT or b is _ABSENT or a != b:
            found.append(Difference(path, None if a is _ABSENT else a, None if b is _ABSENT else b))
    return found


def key_differences(
    old: Mapping[str, Any], old_code: Mapping[str, Any], new: Mapping[str, Any], new_code: Mapping[str, Any]
) -> list[Difference]:
    """As `differences`, of what two run keys are made of; code that differs is named by file and definition.

    Args:
        old_code, new_code: `Behind.told` of either.
    """
    found = differences(old, new)
    hashes = [own for own in found if own.path.partition(".")[0] == "code"]
    files = differences(old_code.get("files", {}), new_code.get("files", {}), "code.")
    definitions = differences(old_code.get("definitions", {}), new_code.get("definitions", {}), "definition.")
    if not any(own.old and own.new for own in files):
        # No file itself has changed, so that one imports something else. For one that is new or gone this is clear.
        taken = differences(old_code.get("imports", {}), new_code.get("imports", {}), "imports.")
        files += [own for own in taken if own.old and own.new]
    named = [*files, *definitions] if hashes else []
    return sorted([own for own in found if own not in hashes] + (named or hashes), key=lambda own: own.path)


def _finite(value: float | list[float]) -> Any:
    """A number as JSON has it; null where an image has no score."""
    return [finite_or_none(own) for own in value] if isinstance(value, list) else finite_or_none(value)


def _numerics(machine: Machine) -> dict[str, Any]:
    alone = {"device": machine.device, "precision": machine.precision, "threads": machine.threads}
    # One process is what every key without the entry says.
    return alone if machine.processes == 1 else {**alone, "processes": machine.processes}


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else text[:12] + "…"
