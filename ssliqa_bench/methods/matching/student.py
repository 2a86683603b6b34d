"""The second stage of Dang et al.: a fresh network learns labels and the first stage's labels for unlabeled images.

Source: Dang et al. (2024), section 3.3 and 3.4. Choices it does not specify are in docs/methods/matching.md.
"""

from __future__ import annotations

import numpy as np
import torch

from ssliqa_bench.methods.matching.levels import logit_shift
from ssliqa_bench.methods.matching.network import stored_level_network
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.methods.matching.reports import likeliest_level, predicted_shares
from ssliqa_bench.methods.matching.training import LEVEL_NETWORK_PARAMS, Taught, train_on_levels
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

LEVEL_STUDENT_PARAMS = (*LEVEL_NETWORK_PARAMS, "test_crops", "stage2_epochs", "stage2_threshold")


def run_level_student(context: StageContext) -> Artifact:
    """Label every unlabeled image once by its test crops, and train a fresh network on all images."""
    labeled, unlabeled, p = context.labeled, context.unlabeled, context.params
    assert labeled is not None and unlabeled is not None  # declared by the stage
    levels = int(p["levels"])
    taught = Taught.of(labeled, p)
    teacher = stored_level_network(context.inputs["matching"].tensors, p["backbone"], levels).to(context.device)
    policy = Policy(p["policy"], int(p["crop"]))
    shares = predicted_shares(teacher, unlabeled, policy, int(p["test_crops"]), context.device, context.precision)
    rows = np.flatnonzero(shares.max(1) >= p["stage2_threshold"])
    said = likeliest_level(shares[rows])
    context.report.note(
        f"{len(rows)} of {len(unlabeled)} unlabeled images get a label; of level 0 … {levels - 1}: "
        + ", ".join(map(str, np.bincount(said, minlength=levels).tolist()))
    )
    labels = torch.cat((torch.from_numpy(said), taught.labels))
    soft = None
    if taught.shares is not None:
        soft = torch.cat((torch.nn.functional.one_hot(torch.from_numpy(said), levels).float(), taught.shares))
    shift = logit_shift(labels.numpy(), levels, p["logit_adjustment"])
    images = unlabeled.subset(rows) + labeled.images
    taught = Taught(labels, soft, shift)
    return train_on_levels(context, images, taught, int(p["batch_size"]), int(p["stage2_epochs"]), "training")


def run_labels_only_student(context: StageContext) -> Artifact:
    """The second stage of the comparator: as many steps on the labeled images."""
    labeled = context.labeled
    assert labeled is not None  # declared by the stage
    p = context.params
    taught = Taught.of(labeled, p)
    return train_on_levels(context, labeled.images, taught, int(p["batch_size"]), int(p["stage2_epochs"]), "labeled")
