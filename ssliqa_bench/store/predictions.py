"""Predictions of a record for one dataset: the columns, and the parquet file that holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ssliqa_bench.errors import CorruptFileError

if TYPE_CHECKING:
    import pyarrow as pa

_ALWAYS = {"image": "string", "role": "string", "dataset": "string", "score": "double", "prediction": "double"}
# Written only where some row has a value, so that files of datasets without them stay as they are.
_WHERE_KNOWN = {
    "true_class": "int64",
    "predicted_class": "int64",
    "group": "string",
    "reference": "string",
    "distortion": "string",
    "level": "string",
    "part": "string",
    "rating_std": "double",
    "n_ratings": "double",
}
_OF_STAGES = {"prediction": "double", "predicted_class": "int64"}
_STAGE = "{}:{}"  # column of the model that an earlier stage left, by its name
_ROLE = "test"

Texts = tuple[str, ...]
Numbers = tuple[float | None, ...]
Classes = tuple[int | None, ...]


@dataclass(frozen=True)
class StagePredictions:
    """What the model of an earlier stage predicts for the same images."""

    prediction: tuple[float, ...]
    predicted_class: Classes | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "predicted_class", _known(self.predicted_class))


@dataclass(frozen=True)
class Predictions:
    """The test images of one dataset, one entry per image in every column.

    A column in which nothing is known is None.

    Attributes:
        image: names, "" where they are withheld.
        score: native opinion scores, higher is better; NaN where they are withheld.
        prediction: of the final model, on its own scale.
        true_class, predicted_class: where the protocol sees classes; None where an image or a model has none.
        group: what must not be torn between train and test; the unit that is resampled.
        reference: file name of the pristine image, without its folder.
        distortion, level, part: as the dataset states them, "" where it does not.
        rating_std: standard deviation of the ratings in native units.
        n_ratings: how many ratings the score is the mean of.
        stages: predictions of the models before the final one, by stage.
    """

    image: Texts
    score: Numbers
    prediction: tuple[float, ...]
    true_class: Classes | None = None
    predicted_class: Classes | None = None
    group: Texts | None = None
    reference: Texts | None = None
    distortion: Texts | None = None
    level: Texts | None = None
    part: Texts | None = None
    rating_std: Numbers | None = None
    n_ratings: Numbers | None = None
    stages: Mapping[str, StagePredictions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _WHERE_KNOWN:
            object.__setattr__(self, name, _known(getattr(self, name)))
        columns = {own.name: getattr(self, own.name) for own in fields(self) if own.name != "stages"}
        columns |= {f"stage {name}": stage.prediction for name, stage in self.stages.items()}
        for name, values in columns.items():
            if values is not None and len(values) != len(self.image):
                raise ValueError(f"{name}: got {len(values)} values for {len(self.image)} images")

    def __len__(self) -> int:
        return len(self.image)

    def without_images(self) -> Predictions:
        """The same without anything about the images: names, scores, true classes, groups, ratings."""
        nothing: dict[str, Any] = dict.fromkeys(name for name in _WHERE_KNOWN if name != "predicted_class")
        return replace(self, image=("",) * len(self), score=(math.nan,) * len(self), **nothing)


def _known(column: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    return column if column is not None and any(value not in (None, "") for value in column) else None


def to_parquet(rows: Predictions, dataset: str) -> bytes:
    """The file of a dataset's predictions; equal rows give equal bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    n = len(rows)
    columns: dict[str, tuple[Any, str]] = {}
    for name, kind in _ALWAYS.items():
        constant = {"role": (_ROLE,) * n, "dataset": (dataset,) * n}.get(name)
        columns[name] = (getattr(rows, name) if constant is None else constant, kind)
    for name, kind in _WHERE_KNOWN.items():
        if getattr(rows, name) is not None:
            columns[name] = (getattr(rows, name), kind)
    for stage, own in rows.stages.items():
        for name, kind in _OF_STAGES.items():
            if getattr(own, name) is not None:
                columns[_STAGE.format(name, stage)] = (getattr(own, name), kind)
    table = pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()})
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def from_parquet(data: bytes, dataset: str, where: str) -> Predictions:
    """Read a file of `to_parquet`; `where` names it in messages.

    Raises:
        CorruptFileError: it is no parquet file, or its columns are not those of predictions for the dataset.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(data))
        columns: dict[str, tuple[Any, ...]] = {name: tuple(values) for name, values in table.to_pydict().items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptFileError(f"{where}: not readable as parquet ({error}).") from error
    _check_columns(table.schema, where)
    for name, expected in (("role", _ROLE), ("dataset", dataset)):
        if set(columns.pop(name)) - {expected}:
            raise CorruptFileError(f'{where}: column {name}: expected "{expected}" in every row.')
    for name in ("image", "prediction", *(name for name in columns if name.startswith("prediction:"))):
        if None in columns[name]:
            raise CorruptFileError(f"{where}: column {name}: has empty cells.")
    stages = {
        stage: StagePredictions(
            columns[_STAGE.format("prediction", stage)], columns.get(_STAGE.format("predicted_class", stage))
        )
        for stage in (name.partition(":")[2] for name in columns if name.startswith("prediction:"))
    }
    return Predictions(**{name: values for name, values in columns.items() if ":" not in name}, stages=stages)


def _check_columns(schema: pa.Schema, where: str) -> None:
    found = {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
    for name in _ALWAYS:
        if name not in found:
            raise CorruptFileError(f"{where}: column {name}: is missing.")
    for name, kind in found.items():
        base, _, stage = name.partition(":")
        known = _OF_STAGES if stage else {**_ALWAYS, **_WHERE_KNOWN}
        if base not in known:
            raise CorruptFileError(f"{where}: column {name}: is not known.")
        if kind != known[base]:
            raise CorruptFileError(f"{where}: column {name}: got {kind}; expected {known[base]}.")
        if stage and _STAGE.format("prediction", stage) not in found:
            raise CorruptFileError(f"{where}: column {name}: there is no column prediction:{stage}.")
