"""CoMatch: predictions smoothed by a memory bank, and a graph of predictions that the embeddings learn.

Source: Li, Xiong, Hoi, "CoMatch: Semi-supervised Learning with Contrastive Graph Regularization", ICCV 2021. Of the
two strong views the first is classified, both are embedded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ssliqa_bench.methods.matching.alignment import Alignment, Window
from ssliqa_bench.methods.matching.base import MatchingLearner
from ssliqa_bench.methods.matching.parts import (
    BatchSizes,
    LevelBatch,
    PlainRule,
    State,
    cut_off,
    masked_loss,
    reaches,
    shares_of,
    supervised_loss,
    wide,
)
from ssliqa_bench.methods.matching.training import run_matching
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

_TINY = 1e-7


@dataclass(frozen=True)
class CoMatchRule(PlainRule):
    """L = L_x + λ_u L_u + λ_c L_c; targets are the smoothed distributions themselves.

    Args:
        temperature: T of the bank's similarities and of the embedding graph.
        smoothing: α, the share of an image's own prediction in its smoothed one.
        graph_threshold: T_g, pairs of predictions less alike are no neighbours; at most 1.
        warmup_steps: steps before predictions are smoothed; the bank must also have been filled once.
        queue_batches: batches that the bank holds.
        dimensions: d of the embeddings.
    """

    embeds: ClassVar[bool] = True
    strong_views: ClassVar[int] = 2

    threshold: float = 0.95
    unlabeled_weight: float = 1.0
    contrast_weight: float = 1.0
    temperature: float = 0.2
    smoothing: float = 0.9
    graph_threshold: float = 0.8
    align_target: str = "uniform"
    align_window: int = 32
    warmup_steps: int = 1024
    queue_batches: int = 5
    dimensions: int = 64

    def alignment(self) -> Alignment:
        """Windows over the last batches."""
        return Alignment(self.align_target, Window(self.align_window), Window(self.align_window))

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """An empty bank of so many whole batches, and the alignment."""
        slots = self.queue_batches * (sizes.batch + sizes.unlabeled)
        return {
            **self.alignment().start(sizes),
            "bank_embeddings": torch.zeros(slots, self.dimensions),
            "bank_shares": torch.zeros(slots, sizes.levels),
            "bank_at": torch.zeros((), dtype=torch.int64),
            "bank_written": torch.zeros((), dtype=torch.int64),
        }

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step: the bank is read first and written after."""
        state = cut_off(state)
        assert batch.weak_logits is not None and batch.strong_logits is not None
        assert batch.weak_embeddings is not None and batch.labeled_embeddings is not None
        assert batch.strong_embeddings is not None and batch.second_embeddings is not None
        moved_to, changed = self.alignment().apply(
            state, shares_of(batch.weak_logits), shares_of(batch.labeled_logits)
        )
        weak = wide(batch.weak_embeddings.detach())
        target = self._smoothed(state, batch.it, moved_to, weak)
        mask = reaches(target.amax(1), self.threshold)
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        contrast_loss = graph_loss(
            prediction_graph(target, self.graph_threshold),
            wide(batch.strong_embeddings),
            wide(batch.second_embeddings),
            self.temperature,
        )
        total = sup_loss + self.unlabeled_weight * unsup_loss + self.contrast_weight * contrast_loss
        written = self._written(state, batch, moved_to, weak)
        return {
            "sup_loss": sup_loss, "unsup_loss": unsup_loss, "contrast_loss": contrast_loss, "total_loss": total,
            "mask": mask, "target": target, "aligned": moved_to,
        }, {**state, **changed, **written}  # fmt: skip

    def _smoothed(self, state: State, it: int, shares: torch.Tensor, weak: torch.Tensor) -> torch.Tensor:
        if it < self.warmup_steps or it <= self.queue_batches:
            return shares
        likeness = torch.softmax(weak @ state["bank_embeddings"].to(weak.dtype).T / self.temperature, dim=1)
        smoothed = self.smoothing * shares + (1 - self.smoothing) * likeness @ state["bank_shares"].to(shares.dtype)
        return torch.where(state["bank_written"] >= len(state["bank_shares"]), smoothed, shares)

    def _written(self, state: State, batch: LevelBatch, shares: torch.Tensor, weak: torch.Tensor) -> State:
        """The bank with the aligned but unsmoothed predictions, then the labeled images with their true levels."""
        assert batch.labeled_embeddings is not None
        slots, levels = state["bank_shares"].shape
        embeddings = torch.cat((weak, wide(batch.labeled_embeddings.detach())))
        one_hot = torch.nn.functional.one_hot(batch.labels, levels).to(shares.dtype)
        at, count = state["bank_at"], len(embeddings)
        places = (at + torch.arange(count, device=at.device)) % slots
        return {
            "bank_embeddings": state["bank_embeddings"].to(weak.dtype).index_copy(0, places, embeddings),
            "bank_shares": state["bank_shares"].to(shares.dtype).index_copy(0, places, torch.cat((shares, one_hot))),
            "bank_at": (at + count) % slots,
            "bank_written": state["bank_written"] + count,
        }


def prediction_graph(shares: torch.Tensor, threshold: float) -> torch.Tensor:
    """Who is a neighbour of whom by predicted distributions (U, C): rows that sum to 1, every image its own one."""
    graph = shares @ shares.T
    graph = graph + torch.diag_embed(1 - graph.diagonal())
    graph = torch.where(graph >= threshold, graph, 0.0)
    return graph / graph.sum(1, keepdim=True)


def graph_loss(
    graph: torch.Tensor, first: torch.Tensor, second: torch.Tensor, temperature: float
) -> torch.Tensor:
    """L_c: cross-entropy between the graph of predictions and that of the two strong views' embeddings."""
    likeness = torch.softmax(first @ second.T / temperature, dim=1)
    return -(graph.to(likeness.dtype) * torch.log(likeness + _TINY)).sum(1).mean()


def run_comatch(context: StageContext) -> Artifact:
    """Train with CoMatch."""
    p = context.params
    return run_matching(context, CoMatchRule(**{name: p[name] for name in CoMatch.rule_params}))


class CoMatch(MatchingLearner):
    """Levels of quality by CoMatch."""

    run = staticmethod(run_comatch)
    rule_params: ClassVar[tuple[str, ...]] = (
        "threshold", "unlabeled_weight", "contrast_weight", "temperature", "smoothing", "graph_threshold",
        "align_target", "align_window", "warmup_steps", "queue_batches", "dimensions",
    )  # fmt: skip
    head_params: ClassVar[tuple[str, ...]] = ("projectors",)
