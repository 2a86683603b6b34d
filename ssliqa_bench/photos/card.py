"""The card of a model folder: what the model learned from, how it was tested, what its licence rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssliqa_bench.photos.fold_fits import Candidate
from ssliqa_bench.types import Scale

_TITLES = {"srcc": "SRCC", "plcc": "PLCC", "mae": "MAE (units of the scores)"}


def card_text(summary: Mapping[str, Any], chosen: Candidate, scale: Scale, *, plot: str | None) -> str:
    """The card in Markdown.

    Args:
        summary: of `Trained.summary`.
        plot: name of the scatter plot; None where there is none.
    """
    better = "higher" if scale.higher_is_better else "lower"
    parts = [
        "# A model of image quality",
        f"Made by `ssliqa-bench train`: {chosen.method.about.title} (`{chosen.name}`, recipe `{summary['recipe']}`).",
        "```\nssliqa-bench score --model THIS_FOLDER photos\n```",
        "## Data",
        f"{summary['labels']:,} images with a score, on a scale from {scale.low:g} to {scale.high:g}, {better} is "
        f"better; {summary['unlabeled']:,} images without.",
        "## How it was tested",
        _protocol(summary),
        _figures(summary),
        "These figures apply to photographs of the same kind, scored by the same people; for others they are unknown.",
    ]
    if plot is not None:
        parts.append(f"![Predictions of held-out images over their scores]({plot})")
    parts += _unlabeled(summary)
    parts += _choice(summary)
    parts += ["## Licence", _licence(chosen)]
    return "\n\n".join(parts) + "\n"


def _protocol(summary: Mapping[str, Any]) -> str:
    splits = summary["expected"]["srcc"]["splits"]
    if splits == 1:
        return (f"A test part of {summary['tested']:,} images, split off by group before the learner was chosen. The "
                f"figures are those of a model trained on the other images; this one was trained on all. Intervals: "
                f"over the groups of the test part, 95 %.")  # fmt: skip
    return (f"Five-fold cross-validation by group, {splits} splits in all. In each of them the learner was chosen anew "
            f"on the training part, so the choice does not bias the figures. They are those of models trained on four "
            f"fifths of the labels; this one was trained on all. Intervals: corrected resampled t-test (Nadeau and "
            f"Bengio, 2003), 95 %.")  # fmt: skip


def _figures(summary: Mapping[str, Any]) -> str:
    lines = ["| figure | expected | 95 % interval |", "| --- | ---: | --- |"]
    for name, title in _TITLES.items():
        own = summary["expected"][name]
        interval = "–" if own["lo"] is None else f"{own['lo']:.3f} to {own['hi']:.3f}"
        lines.append(f"| {title} | {own['mean']:.3f} | {interval} |")
    return "\n".join(lines)


def _unlabeled(summary: Mapping[str, Any]) -> list[str]:
    found = summary["unlabeled_images"]
    if found is None:
        return []
    told = f"Verdict: **{found['verdict']}**. {found['sentence']} Compared on {found['splits']} splits with the same "
    return ["## Unlabeled images", f"{told}learner without them, with the same steps."]


def _choice(summary: Mapping[str, Any]) -> list[str]:
    if not summary["srcc_in_choice"]:
        return []
    lines = ["| learner | mean SRCC in the choice | chosen in outer splits |", "| --- | ---: | ---: |"]
    for name, value in summary["srcc_in_choice"].items():
        lines.append(f"| `{name}` | {value:.3f} | {summary['chosen_in_splits'].get(name, 0)} |")
    return ["## Choice of the learner", "\n".join(lines)]


def _licence(chosen: Candidate) -> str:
    notes = ["The model is derived from your labels and the weights below; your rights in the photographs stay yours."]
    for backbone in chosen.backbones.values():
        network = backbone.features_of or backbone
        stated = network.about.terms or (network.weights.licence if network.weights is not None else "")
        terms = stated.strip() or "terms not stated in the registry"
        notes.append(f"- {network.about.title} (`{network.name}`): {terms}")
    return "\n".join([notes[0], "", *notes[1:]])
