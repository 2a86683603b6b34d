"""What the site knows: one document about all rows, one for each row, one for the images of each dataset."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ssliqa_bench.files import canonical_json
from ssliqa_bench.leaderboard.cells import STATUS
from ssliqa_bench.leaderboard.collect import Absent, Board, Row
from ssliqa_bench.leaderboard.columns import COLUMNS, CellPlace, columns_of, ranking_measure
from ssliqa_bench.leaderboard.gains import can_gain, opening_words
from ssliqa_bench.leaderboard.numbers import MISSING
from ssliqa_bench.leaderboard.page import Number
from ssliqa_bench.leaderboard.ranking import Ranked, absent_words, remarks
from ssliqa_bench.leaderboard.run_parts import curve, errors_by_range, fitted_mapping, srcc_by_group
from ssliqa_bench.leaderboard.site.packing import pack, pack_places, short
from ssliqa_bench.leaderboard.view import SectionView
from ssliqa_bench.leaderboard.words import budget_words, labels_used, setting
from ssliqa_bench.registry.lookup import Registry
from ssliqa_bench.store.predictions import Predictions
from ssliqa_bench.store.record import DatasetResult, Record, StageFacts

ReadPredictions = Callable[[Record, str], Predictions]
Document = dict[str, Any]

# Numbers over the runs of a row that the site shows, and columns of their parts.
_SHOWN = ("srcc", "over_best", "gain", "plcc_mapped", "plcc_raw", "krcc", "rmse_mapped", "p", "to_oracle")
_BY_NAME = {measure.name: measure for measure in COLUMNS}
# Logged quantities without a curve: rates and times of the machine, and shares per class or near their borders.
_UNSHOWN = ("images_per_second", "seconds", "epoch", "predicted_", "selected_", "aligned_", "near_border")
_ABSENT = object()
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
# Metrics of a run, in the order in which `pages.js` names them.
_METRICS = ("srcc", "krcc", "plcc_mapped", "plcc_raw", "rmse_mapped")
# Significant digits of what is drawn alone.
_DRAWN = 4
# Digits of a record's key that name a run.
KEY_DIGITS = 20
# Runs of a row with charts, the first ones: the size of the site follows the rows, however many runs each has.
CHARTED = 2


def row_id(row: Row, view: SectionView) -> str:
    """A name for a row that is the same in every build."""
    section = view.section
    protocol = row.newest.cell.protocol
    asked = [protocol, str(section.pair), section.budget, section.unlabeled_budget, row.method, row.setting]
    return hashlib.sha256(canonical_json(asked).encode()).hexdigest()[:12]


def index(boards: Iterable[tuple[Board, list[SectionView]]], registry: Registry) -> Document:
    """All rows of all boards with their figures, and what is known of methods and datasets."""
    rows: list[Document] = []
    sentences: list[Document] = []
    methods: dict[str, Row] = {}
    datasets: dict[str, str] = {}
    for board, views in boards:
        for view in views:
            for item in view.ranked:
                rows.append(_row(board, view, item))
                held = methods.get(item.row.method)
                if held is None or held.newest.created < item.row.newest.created:
                    methods[item.row.method] = item.row
                for run in item.row.runs.values():
                    datasets.update({name: own.kind for name, own in run.datasets.items()})
            rows += [_absent(board, view, own) for own in view.section.without_rows]
            for text in opening_words(view):
                sentences.append({"protocol": board.protocol, "pair": str(view.section.pair), "text": text.plain,
                                  "kind": _kind(board), "budget": _budget(view)})  # fmt: skip
    return {
        "rows": rows,
        "sentences": sentences,
        "methods": {name: _method(row, registry) for name, row in sorted(methods.items())},
        "datasets": {name: _dataset(name, kind, registry) for name, kind in sorted(datasets.items())},
    }


def _kind(board: Board) -> str:
    return "demo" if board.demo else "human"


def _budget(view: SectionView) -> str:
    return budget_words(view.section).removeprefix(", ") or "all scores"


def _row(board: Board, view: SectionView, item: Ranked) -> Document:
    row, section = item.row, view.section
    found = remarks(row, section)
    place = CellPlace(view, row)
    return {
        "id": row_id(row, view), "kind": _kind(board), "protocol": board.protocol, "pair": str(section.pair),
        "budget": _budget(view), "labels": labels_used(row), "method": row.method, "family": row.about.family or "",
        "title": row.about.title, "setting": setting(row).plain, "rank": item.rank,
        "status": "" if item.rank is not None else STATUS[item.status], "reference": row.reference or "",
        "marks": [remark.mark for remark in found if remark.mark],
        "notes": [remark.sentence.plain for remark in found],
        "results": {name: _figures(view, row, name, side) for name, side in section.datasets if row.tested(name)},
        "runs": [[row.runs[seed].key[:KEY_DIGITS], seed] for seed in row.seeds],
        "charted": min(CHARTED, len(row.seeds)),
        "cost": {own.name: _value(own.cell(place).value) for own in COLUMNS if own.cost and not own.text},
        "device": _BY_NAME["device"].cell(place).value.plain,  # type: ignore[union-attr]
    }  # fmt: skip


def _absent(board: Board, view: SectionView, lacking: Absent) -> Document:
    """A row without numbers, whose status says why."""
    section = view.section
    return {
        "id": "", "kind": _kind(board), "protocol": board.protocol, "pair": str(section.pair),
        "budget": _budget(view), "labels": "", "method": lacking.method, "family": "", "title": "",
        "setting": setting(lacking).plain, "rank": None, "status": MISSING, "reference": "", "marks": [lacking.state],
        "notes": [f"{lacking.state}: {absent_words(lacking)}"], "results": {}, "runs": [], "charted": 0, "cost": {},
        "device": "",
    }  # fmt: skip


def _figures(view: SectionView, row: Row, dataset: str, side: str) -> Document:
    """Figures of a row on a dataset: value, spread and interval of each."""
    place = CellPlace(view, row, dataset)
    figures: Document = {"side": side, "seen": row.has_seen(dataset)}
    for name in _SHOWN:
        if name in ("gain", "p", "to_oracle") and not can_gain(row):
            continue
        number = _BY_NAME[name].cell(place).value
        assert isinstance(number, Number)
        if number.value is not None:
            figures[name] = _parts(number)
    if (ranked := ranking_measure(view.section, dataset)) != "srcc":
        measure = next(own for own in columns_of([view.section]) if own.name == ranked)
        within = measure.cell(place).value
        assert isinstance(within, Number)
        figures["within_parts"] = None if within.value is None else _parts(within)
    verdict = view.verdict(row, dataset)
    if verdict is not None:
        figures.update(verdict=verdict.comparison.verdict, comparator=verdict.reference.method)
    return figures


def _parts(number: Number) -> list[float | None]:
    parts = (number.value, number.spread, number.lo, number.hi)
    return [None if part is None else short(part) for part in parts]


def _value(value: Any) -> float | None:
    return short(value.value) if isinstance(value, Number) and value.value is not None else None


def _method(row: Row, registry: Registry) -> Document:
    """What the registry states of a method, as far as it knows it, else what the record states."""
    entry = registry.methods.get(row.method)
    about = {} if entry is None else {"description": entry.about.description, "citation": entry.about.citation}
    trained = row.about.trained_on
    return {
        "title": row.about.title, "family": row.about.family or "", "like": row.like or "",
        "reference": row.reference or "", "trained_on": trained if isinstance(trained, str) else list(trained), **about,
    }  # fmt: skip


def _dataset(name: str, kind: str, registry: Registry) -> Document:
    entry = registry.datasets.get(name)
    if entry is None:
        return {"kind": kind, "title": name}
    about = entry.about
    return {
        "kind": kind, "title": about.title, "description": about.description, "citation": about.citation,
        "home": about.home, "terms": about.terms, "scale": list(entry.scale), "images": entry.images,
    }  # fmt: skip


class ImageNames:
    """Names, scores and groups of the test images of every dataset, each once; runs refer to them by number.

    Runs of one split have the same test images, so the list of their numbers is held once as well.
    """

    def __init__(self) -> None:
        self._splits: dict[str, dict[tuple[int, ...], int]] = {}
        self._found: dict[str, dict[str, int]] = {}
        self._scores: dict[str, list[float]] = {}
        self._groups: dict[str, list[str]] = {}
        self.datasets: set[str] = set()

    def split(self, dataset: str, name: str, rows: Predictions) -> int:
        """The place of a table's images among the lists of numbers of a dataset, whose file has a name."""
        self.datasets.add(dataset)
        known, scores = self._found.setdefault(name, {}), self._scores.setdefault(name, [])
        groups = self._groups.setdefault(name, [])
        for k, image in enumerate(rows.image):
            if image not in known:
                known[image] = len(known)
                scores.append(short(rows.score[k] or 0.0))
                groups.append(rows.group[k] if rows.group is not None else image)
        splits = self._splits.setdefault(name, {})
        return splits.setdefault(tuple(known[image] for image in rows.image), len(splits))

    def documents(self) -> dict[str, Document]:
        """By the name of the dataset's file."""
        found = {}
        for name, known in self._found.items():
            places = {group: k for k, group in enumerate(dict.fromkeys(self._groups[name]))}
            numbered = [places[group] for group in self._groups[name]]
            alone = numbered == list(range(len(numbered)))
            found[name] = {
                "names": list(known), "scores": self._scores[name], "groups": None if alone else numbered,
                "splits": [pack_places(numbers) for numbers in self._splits[name]],
            }  # fmt: skip
        return found


def row_document(row: Row, read: ReadPredictions, images: ImageNames) -> Document:
    """All runs of a row in the order of the index: facts and metrics; of the first `CHARTED`, logs and predictions too.

    Predictions are left out where they may not be shown. What is the same for all runs is given once, under `shared`,
    and the words of notes that differ in their numbers alone under `words`.
    """
    params = row.newest.facts.key_parts.get("params", {})
    runs = [_run(row.runs[seed], read if k < CHARTED else None, images) for k, seed in enumerate(row.seeds)]
    words: dict[tuple[str, ...], int] = {}
    for run in runs:
        run["notes"] = [_numbered(note, words) for note in run["notes"]]
    shared, own = _parted(runs)
    return {"params": params, "words": [list(parts) for parts in words], "shared": shared, "runs": own}


def _parted(documents: list[Document]) -> tuple[Document, list[Document]]:
    """What all documents have in common, at any depth, and what each has beside it; merged they are what they were."""
    shared: Document = {}
    own: list[Document] = [{} for _ in documents]
    for name in dict.fromkeys(name for document in documents for name in document):
        values = [document.get(name, _ABSENT) for document in documents]
        if all(value == values[0] for value in values):
            shared[name] = values[0]
        elif all(isinstance(value, dict) for value in values):
            shared[name], rest = _parted(values)
            for document, part in zip(own, rest, strict=True):
                document[name] = part
        else:
            for document, value in zip(own, values, strict=True):
                if value is not _ABSENT:
                    document[name] = value
    return shared, own


def _numbered(note: str, words: dict[tuple[str, ...], int]) -> list[Any]:
    """A note as the place of its words, which are added where they are new, and the numbers between them."""
    parts = _NUMBER.split(note)
    return [words.setdefault(tuple(parts[::2]), len(words)), *parts[1::2]]


def _run(record: Record, read: ReadPredictions | None, images: ImageNames) -> Document:
    """Without `read`, what charts are drawn from is left out."""
    facts = record.facts
    return {
        "created": facts.created[:10], "device": facts.device,
        "threads": facts.threads, "precision": facts.precision, "steps": facts.steps,
        "parameters": facts.n_parameters, "memory": facts.peak_memory_bytes,
        "seconds": [short(facts.seconds.train), short(facts.seconds.predict)],
        "versions": dict(sorted(facts.versions.items())), "commit": facts.git.commit[:12] if facts.git else "",
        "notes": list(record.notes), "leak": record.leak.reason if record.leak else "",
        "roles": {name: dict(sorted(own.roles.items())) for name, own in sorted(record.datasets.items())},
        "stages": [_stage(stage) for stage in facts.stages] if read else [],
        "results": {name: _result(record, name, own, read, images) for name, own in sorted(record.results.items())},
    }  # fmt: skip


def _stage(stage: StageFacts) -> Document:
    """The logged numbers of a stage as columns, those that every entry has; a constant has no curve."""
    names = [name for name in (stage.log[0] if stage.log else {})
             if not name.startswith(_UNSHOWN) and all(_finite(entry.get(name)) for entry in stage.log)]  # fmt: skip
    logs = {name: [short(entry[name], _DRAWN) for entry in stage.log] for name in sorted(names)}
    changing = {name: pack(values, _DRAWN) for name, values in logs.items() if len(set(values)) > 1}
    return {"name": stage.name, "steps": stage.steps, "seconds": short(stage.seconds), "log": changing}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _result(
    record: Record, name: str, result: DatasetResult, read: ReadPredictions | None, images: ImageNames
) -> Document:
    metrics, ends = result.metrics, result.metrics.intervals or {}
    values = [getattr(metrics, own) for own in _METRICS]
    # Without charts the interval of SRCC alone: those of all metrics would be the largest part of a row.
    intervals = [ends.get(own) for own in (_METRICS if read else _METRICS[:1])]
    document: Document = {
        "n": metrics.n, "mapping": metrics.mapping, "split": result.dataset.split_hash[:12],
        "metrics": [None if value is None else short(value, 5) for value in values],
        "intervals": [own and [round(own.lo, 3), round(own.hi, 3)] for own in intervals] if any(intervals) else [],
        "by": {kind: {label: None if own.srcc is None else short(own.srcc, _DRAWN)
                      for label, own in sorted(parts.values.items())}
               for kind, parts in sorted((metrics.by or {}).items())},
    }  # fmt: skip
    if result.withheld or not result.dataset.labels_redistributable:
        document["withheld"] = True
        return document
    if read is None:
        return document
    rows = read(record, name)
    if not rows.image or not all(map(_finite, rows.score)) or len(set(rows.image)) < len(rows.image):
        return document
    file = f"{name}-{result.dataset.fingerprint[:8]}"
    mapping = fitted_mapping(rows, record.facts.protocol.mapping)
    document.update(
        images=file, at=images.split(name, file, rows), x=pack(rows.prediction),
        curve=pack(curve(rows, mapping), _DRAWN),
        errors=[[short(value, _DRAWN) for value in own.values()] for own in errors_by_range(rows, mapping)],
    )
    if groups := srcc_by_group(rows):
        document["by"]["group"] = {
            label: None if own is None else short(own, _DRAWN) for label, own in groups.items()
        }
    return document


def script(name: str, document: Mapping[str, Any], key: str = "") -> str:
    """A document as a script, since browsers read no JSON from the file system; nothing in it ends the script."""
    body = canonical_json(document)
    for mark in "<>&\u2028\u2029":
        body = body.replace(mark, f"\\u{ord(mark):04x}")
    at = f"[{canonical_json(key)}]" if key else ""
    return f"(window.SSLIQA??={{}}).{name}{f'??={{}};window.SSLIQA.{name}{at}' if key else ''}={body};\n"
