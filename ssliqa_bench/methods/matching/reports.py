"""What a training on levels says of itself: per step, and as sentences that stay in the record."""

from __future__ import annotations

import numpy as np
import torch

from ssliqa_bench.methods.matching.levels import expected_level, quality_of
from ssliqa_bench.methods.matching.network import LevelModel
from ssliqa_bench.methods.matching.parts import LevelBatch, shares_of
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import Terms, split_batches
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import FloatArray, IntArray

_AT_ONCE = 16  # images per forward pass; bounds memory, changes nothing else
_LOOKED_AT = 2000  # images whose predictions a note is made of
_NEAR = 0.25  # levels: an expectation this close to the border of two levels lies near it


@torch.no_grad()
def predicted_shares(
    model: LevelModel, images: ImageSet, policy: Policy, crops: int, device: torch.device, precision: str = "float32"
) -> FloatArray:
    """Distributions (n, P) over the levels, float64: the mean of the probabilities over an image's test crops."""
    model.eval()
    found = []
    for rows in split_batches(np.arange(len(images)), _AT_ONCE):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits, _ = model(policy.evaluation(images, rows, crops).to(device))
        shares = torch.softmax(logits.double(), dim=1)
        found.append(shares.reshape(len(rows), -1, shares.shape[1]).mean(1).cpu().numpy())
    return np.concatenate(found)


def likeliest_level(shares: FloatArray) -> IntArray:
    """The level (n,) with the largest share, ties to the lower one."""
    return shares.argmax(1)


def step_report(batch: LevelBatch, terms: Terms) -> Terms:
    """Shares of a step's unlabeled images: selected; weak and strong prediction differ; each level predicted before
    and after alignment, and selected; and near the border of two levels, of all and of the selected."""
    assert batch.weak_logits is not None and batch.strong_logits is not None
    shares, mask = shares_of(batch.weak_logits), terms["mask"].float()
    levels = shares.shape[1]
    predicted = shares.argmax(1)
    numbers = torch.arange(levels, device=shares.device)
    expectation = shares @ numbers.to(shares.dtype)
    near = ((expectation - 0.5 - (expectation - 0.5).round()).abs() < _NEAR).float()
    own = terms["target"] if terms["target"].dim() == 1 else terms["target"].argmax(1)
    named = [("predicted", predicted, torch.ones_like(mask)), ("selected", own, mask)]
    if "aligned" in terms:
        named.append(("aligned", terms["aligned"].argmax(1), named[0][2]))
    near_selected = near * mask
    differ = (predicted != batch.strong_logits.argmax(1)).float()
    means = torch.stack((mask, differ, near, near_selected)).mean(1)
    names = ("mask", "disagreement", "near_border", "near_border_selected")
    report = dict(zip(names, means.unbind(), strict=True))
    for name, values, weight in named:
        hits = torch.zeros(levels, device=mask.device).index_add(0, values, weight) / len(mask)
        report |= {f"{name}_{k}": value for k, value in enumerate(hits.unbind())}
    return report


def note_missing(context: StageContext, labels: torch.Tensor) -> None:
    """A level without any labeled image is allowed, and said."""
    levels = int(context.params["levels"])
    if missing := [k for k in range(levels) if not (labels == k).any()]:
        context.report.note(f"no labeled image is of level {_listed(missing)}")


def note_result(
    context: StageContext, model: LevelModel, images: ImageSet, kind: str, labels: torch.Tensor, *more: str
) -> None:
    """One sentence for the record: how many images each level was learned from, whatever else there is to say, and
    how far predictions spread over which levels, where a network that collapsed shows.

    Args:
        images, kind: what predictions are looked at, and what they are called.
        labels: levels of the images that had one.
    """
    p = context.params
    looked = images.subset(range(min(len(images), _LOOKED_AT)))
    policy = Policy(p["policy"], int(p["crop"]))
    shares = predicted_shares(model, looked, policy, 1, context.device, context.precision)
    levels = shares.shape[1]
    spread = float(np.std(quality_of(expected_level(shares), levels, p["label_rule"])))
    said = [
        f"labeled images of level 0 … {levels - 1}: {_listed(torch.bincount(labels, minlength=levels).tolist())}",
        *more,
        f"predictions for {len(looked)} {kind} images, one view each: "
        f"{_listed(np.bincount(likeliest_level(shares), minlength=levels).tolist())}, standard deviation {spread:.3f} "
        f"on [0, 1]",
    ]
    context.report.note("; ".join(said))


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))
