"""What a record holds: one definition for who writes and who reads.

A record is the facts of a run, written once when it ends, and one result per dataset that it was tested on. A result
is independent, so that a further test adds one and touches no other.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ssliqa_bench.errors import CorruptFileError
from ssliqa_bench.specs import Pair, RunSpec, cell_of
from ssliqa_bench.types import Side

Budget = int | float | None
MappingStatus = Literal["ok", "linear", "step", "exponential", "flat", "none"]
# JSON has no tuples; their contents are checked as strictly as everything else.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Counts = Annotated[tuple[int, ...], Field(strict=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
# The protocol's name becomes a file name, and records may come from elsewhere.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Part(BaseModel):
    """A part of a record: frozen, nothing converted, no field that is not declared, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class RunCell(Part):
    """What a board calls one cell: the run as asked for, with canonical names."""

    method: str
    recipe: str
    overrides: dict[str, Any]
    pair: Annotated[str, Field(pattern=r"^[^:]+(:[^:]+)?$")]
    protocol: FileName
    seed: Count
    budget: Budget
    unlabeled_budget: Budget

    @classmethod
    def of(cls, spec: RunSpec) -> Self:
        """The cell of a run as a plan states it."""
        return cls(**cell_of(spec))


class MethodFacts(Part):
    """What the registry stated about the method; `trained_on` are the datasets that its weights have seen."""

    title: str
    family: str | None
    like: str | None
    unlabeled_role: Literal["labeled", "unlabeled"]
    chain: Names
    trained_on: Names | Literal["unknown"]


class ProtocolFacts(Part):
    """The protocol as it was, all fields of its registry entry but the texts about it."""

    name: FileName
    aliases: Names = ()
    split: dict[str, Any]
    validation: float
    budget: Budget
    unlabeled_budget: Budget
    extra_unlabeled: dict[str, Any] | None = None
    stratified: bool
    transductive: bool
    repeats: int
    aggregate: Literal["mean", "median"]
    score_scale: str
    mapping: str
    subset: dict[str, Any] | None
    metrics: Names
    classes: dict[str, Any] | None = None
    tests: Names


class DatasetFacts(Part):
    """A dataset of a run: what it was, which roles its images had, and how many unreadable ones were skipped.

    Attributes:
        scale: scores, higher is better, at 0 and 1 of a learner's predictions; None where these are on another scale.
        mean_ratings: how many ratings an image has on average, of a dataset that does not state it of each image.
        rank_by: what boards rank and compare results by, as the registry had it.
        unofficial_labels: whether the run used scores that no source of the dataset passes on; it is never
            ranked.
    """

    kind: str
    side: Side
    fingerprint: str
    split_hash: str
    labels_redistributable: bool
    roles: dict[str, Count]
    skipped: Count
    scale: Annotated[tuple[float, float] | None, Field(strict=False)] = None
    mean_ratings: Annotated[float | None, Field(gt=0)] = None
    rank_by: Literal["srcc", "srcc_within_parts"] = "srcc"
    unofficial_labels: bool = False


class StageFacts(Part):
    """A stage that leaves a model: the key of its artifact, what it cost, its log and its notes."""

    name: str
    key: Sha256
    steps: Count
    seconds: float
    cached: bool
    log: Annotated[tuple[dict[str, Any], ...], Field(strict=False)]
    notes: Names = ()


class Seconds(Part):
    """Seconds of a run; stages that were found in the store count with what they cost when they were trained."""

    train: float
    predict: float
    total: float


class Git(Part):
    """The commit of the code, and whether it was changed."""

    commit: str
    dirty: bool


class Leak(Part):
    """Images in two roles: why they were accepted, and which they are."""

    reason: str
    found: Names


class CodeFacts(Part):
    """The code behind a run, for people; the key holds hashes alone.

    Attributes:
        definitions: what ran (`entry`) and what parameters name, as `module:Name`.
        files: hash of every file of code, by its path when the record was made.
        imports: the same, with the files that a file imports in it; empty in records of older versions.
    """

    definitions: dict[str, str]
    files: dict[str, str]
    imports: dict[str, str] = {}


class ScaleFacts(Part):
    """Nominal ends of native scores, and whether the high one is the better."""

    low: float
    high: float
    higher_is_better: bool


class ModelFacts(Part):
    """How the final model is built and what its values mean; fields as in `models.description.Description`."""

    builder: str
    params: dict[str, Any]
    scale: ScaleFacts | None
    short_side: Annotated[int | None, Field(ge=1)]
    references: bool
    weights: dict[str, dict[str, Any]]
    features: dict[str, Any] | None


class PseudoLabels(Part):
    """What the model of a stage says of the `n` unlabeled images, against their scores, on the learner's scale.

    Attributes:
        bias: mean of prediction minus score.
        mae: mean absolute error; `mae_by_spread` by quarters of the images, from those whose crops agree most on; None
            where single crops have no values.
    """

    n: Count
    srcc: float | None
    bias: float
    mae: float | None
    mae_by_spread: Annotated[tuple[float | None, ...], Field(strict=False)] | None


class SubmissionFacts(Part):
    """Predictions that a third party submitted: nobody here ran the code behind them.

    Attributes:
        lower_is_better: the file's direction; predictions on record are turned so that higher is better.
        left_out: images of the file that are not in the test part.
    """

    lower_is_better: bool
    left_out: Count


class RunFacts(Part):
    """Everything about a run but its results.

    Attributes:
        key: the run key; the digest of `key_parts`, unless `converted_from` names that digest.
        created: ISO 8601.
        datasets: those without a test part; the others are in their results.
        tested: the datasets that the run itself was tested on; without their results a record is damaged.
        stages: those that leave a model, in order; empty where nothing is learned.
        model_steps: steps of these stages; `steps` counts all, also those of a teacher that only gives labels.
        model: how the model is built from the artifact under `model_key`; None in converted records.
        pseudo_labels: by stage, where unlabeled images have scores that were withheld from the learner.
        converted_from: the key of a record of schema 1 that this one was made from.
        submission: set where the predictions were submitted rather than computed here.
    """

    key: Sha256
    created: str
    cell: RunCell
    method: MethodFacts
    protocol: ProtocolFacts
    datasets: dict[str, DatasetFacts]
    tested: Names
    stages: Annotated[tuple[StageFacts, ...], Field(strict=False)]
    seconds: Seconds
    steps: Count
    model_steps: Count
    n_parameters: Count
    peak_memory_bytes: Count | None
    device: str
    threads: int
    precision: str
    model_key: Sha256
    model: ModelFacts | None = None
    pseudo_labels: dict[str, PseudoLabels] = {}
    key_parts: dict[str, Any]
    code: CodeFacts
    versions: dict[str, str]
    git: Git | None
    leak: Leak | None
    notes: Names
    converted_from: Sha256 | None = None
    submission: SubmissionFacts | None = None

    @field_validator("created")
    @classmethod
    def _readable(cls, value: str) -> str:
        datetime.fromisoformat(value)
        return value


class Interval(Part):
    """How sure a figure is: its ends, how they were found, over how many groups and draws of these."""

    lo: float
    hi: float
    method: str
    units: Count
    resamples: Count


class PartMetrics(Part):
    """The images of one label of a breakdown."""

    n: Count
    srcc: float | None


class Breakdown(Part):
    """SRCC by distortion, level or part: by label, and the mean over `n` images of what is defined."""

    values: dict[str, PartMetrics]
    within: float | None
    n: Count
    unlabeled: Count


class RatingNoise(Part):
    """What the noise of the ratings of `n` images leaves: the correlation that no prediction can be expected to exceed,
    √reliability, and the error beyond it, rmse* of ITU-T P.1401, in the units of the scores."""

    n: Count
    limit: Annotated[float | None, Field(ge=0, le=1)]
    rmse_star: Annotated[float | None, Field(ge=0)]


class Metrics(Part):
    """Metrics of predictions, None where undefined.

    Attributes:
        mapping: status of the fitted mapping.
        extra: further metrics that the protocol asks for.
        intervals: of the final model, where the groups are known; None for a figure that has none.
        by: SRCC of the final model by `distortion`, `level` and `part`, those that the dataset states.
        noise: of the final model, where spread and number of the ratings are known.
    """

    n: Count
    srcc: float | None
    krcc: float | None
    plcc_raw: float | None
    plcc_mapped: float | None
    rmse_mapped: float | None
    mapping: MappingStatus
    extra: dict[str, float | None]
    intervals: dict[str, Interval | None] | None = None
    by: dict[Literal["distortion", "level", "part"], Breakdown] | None = None
    noise: RatingNoise | None = None


class ClassFacts(Part):
    """Classes of test images: how many are of each, how many are predicted so, and how far off predictions are."""

    levels: Annotated[int, Field(ge=2, le=1000)]
    rule: Literal["modal", "equal_width"]
    scale: Annotated[tuple[float, float], Field(strict=False)]
    images: Counts
    unknown: Count
    predicted: Counts | None
    confusion: Annotated[tuple[Counts, ...], Field(strict=False)] | None
    error: Annotated[tuple[float | None, ...], Field(strict=False)] | None


class DatasetResult(Part):
    """What a record holds of one dataset beside the predictions.

    Attributes:
        run: key of the record that it belongs to.
        prediction_key: the key that the predictions have in the store.
        inputs: checksum of what the metrics were computed from.
        stages: metrics of the models before the final one, by stage.
        withheld: names, scores and everything else about the images were not passed on.
        leak, notes: what was found when the dataset was added by a later test.
    """

    run: Sha256
    dataset: DatasetFacts
    prediction_key: Sha256
    evaluation_version: int
    inputs: Sha256
    metrics: Metrics
    stages: dict[str, Metrics]
    classes: ClassFacts | None = None
    withheld: bool = False
    leak: Leak | None = None
    notes: Names = ()

    @property
    def ranked_by(self) -> float | None:
        """The figure that boards rank and compare by, SRCC or SRCC within parts; None where it is undefined."""
        if self.dataset.rank_by == "srcc":
            return self.metrics.srcc
        parts = (self.metrics.by or {}).get("part")
        return None if parts is None else parts.within


_Parsed = TypeVar("_Parsed", bound=Part)
_SHOWN = 3


def parse(kind: type[_Parsed], body: Mapping[str, Any], where: str) -> _Parsed:
    """A part of a record from the content of its file.

    Raises:
        CorruptFileError: a field is missing, unknown or of another type; the message names file and field.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'content'}: {e['msg']}" for e in found[:_SHOWN])
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise CorruptFileError(f"{where}: {told}{more}.") from error


@dataclass(frozen=True)
class Record:
    """A run's facts and its results by dataset, sorted by name."""

    facts: RunFacts
    results: Mapping[str, DatasetResult]

    def _repr_html_(self) -> str:
        heads = ("dataset", "side", "images", "SRCC", "PLCC")
        rows = [
            (name, own.dataset.side, f"{own.metrics.n:,}", own.metrics.srcc, own.metrics.plcc_mapped)
            for name, own in self.results.items()
        ]
        shown = [[f"{cell:.4f}" if isinstance(cell, float) else cell or "–" for cell in row] for row in rows]
        table = [f"<tr><th>{'</th><th>'.join(heads)}</th></tr>"]
        table += [f"<tr><td>{'</td><td>'.join(html.escape(str(cell)) for cell in row)}</td></tr>" for row in shown]
        cell = self.cell
        told = f"{cell.method} on {cell.pair}, protocol {cell.protocol}, seed {cell.seed}, record {self.key[:12]}"
        return f"<p>{html.escape(told)}</p><table>{''.join(table)}</table>"

    @property
    def key(self) -> str:
        """The run key."""
        return self.facts.key

    @property
    def cell(self) -> RunCell:
        """What a board calls one cell."""
        return self.facts.cell

    @cached_property
    def created(self) -> datetime:
        """When the run ended; UTC where no zone is stated."""
        when = datetime.fromisoformat(self.facts.created)
        return when if when.tzinfo else when.replace(tzinfo=UTC)

    @property
    def submitted(self) -> bool:
        """Whether its predictions were submitted rather than computed here."""
        return self.facts.submission is not None

    @property
    def processes(self) -> int:
        """How many processes shared the work of its networks; 1 where nothing else is stated."""
        stated = self.facts.key_parts.get("processes", 1)
        return stated if isinstance(stated, int) and stated > 0 else 1

    @property
    def metrics(self) -> dict[str, Metrics]:
        """Metrics of the final model by dataset."""
        return {name: result.metrics for name, result in self.results.items()}

    @cached_property
    def datasets(self) -> Mapping[str, DatasetFacts]:
        """All datasets of the run."""
        return {**self.facts.datasets, **{name: result.dataset for name, result in self.results.items()}}

    def uses_unofficial(self, dataset: str) -> bool:
        """Whether its result on a dataset rests on scores that no source passes on: of that dataset or of its pair."""
        used = {dataset, *Pair.parse(self.cell.pair).datasets}
        return any(own.unofficial_labels for name, own in self.datasets.items() if name in used)

    @property
    def leak(self) -> Leak | None:
        """What was accepted, by the run or by a later test."""
        found = [self.facts.leak, *(result.leak for result in self.results.values())]
        return next((leak for leak in found if leak is not None), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the run noted of itself, each sentence once."""
        later = (note for result in self.results.values() for note in result.notes)
        return tuple(dict.fromkeys((*self.facts.notes, *later)))

    @property
    def withheld(self) -> tuple[str, ...]:
        """Datasets whose names and scores were not passed on."""
        return tuple(name for name, result in self.results.items() if result.withheld)

    @property
    def spec(self) -> RunSpec:
        """The run that the record answers, with the further datasets that it holds."""
        cell = self.cell
        return RunSpec(
            method=cell.method,
            pair=Pair.parse(cell.pair),
            protocol=cell.protocol,
            seed=cell.seed,
            recipe=cell.recipe,
            overrides=tuple(sorted(cell.overrides.items())),
            budget=cell.budget,
            unlabeled_budget=cell.unlabeled_budget,
            tests=tuple(name for name, result in self.results.items() if result.dataset.side == "external"),
        )

    def stage_metrics(self, dataset: str) -> list[Metrics]:
        """Metrics on a dataset after every stage on record, the final model's last."""
        result = self.results[dataset]
        earlier = [result.stages[stage.name] for stage in self.facts.stages if stage.name in result.stages]
        return [*earlier, result.metrics]

    def key_part(self, name: str) -> Mapping[str, Any]:
        """A part of what the key was made of, such as `code` or `versions`; empty where there is none.

        Raises:
            CorruptFileError: it is no object.
        """
        found = self.facts.key_parts.get(name, {})
        if not isinstance(found, Mapping):
            raise CorruptFileError(f"Record {self.key[:12]}: key_parts.{name}: is no object.")
        return found

    def only(self, datasets: Collection[str]) -> Record:
        """The record with the results of some datasets."""
        return replace(self, results={name: own for name, own in self.results.items() if name in datasets})
