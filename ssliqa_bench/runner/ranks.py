"""One run on several devices of one machine: processes that divide the work of its networks.

Every process runs the same stage on the same batches, drawn from the same seeds. Only calls of a `Backbone` are
divided: each process sends its rows of a batch through the network, and all get the feature vectors of all rows, so
that whatever a learner makes of a batch is computed of the whole one, unchanged.

Backwards, every process has the gradient of the whole batch at the feature vectors. It hands its own rows of it,
times the number of processes, down the network; before the optimiser steps, gradients are averaged over the
processes. So those of a divided network add up, those of everything else, equal in all, stay what they are, and a
network with both divided and whole calls is right as well.

Process 0 leads: it plans, reads and writes the store, and prints. The others wait for its orders, train each stage in
step with it, and keep nothing. What they compute is compared after every epoch. Imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.runner.devices import cuda_devices, device_kind, prepare_process
from ssliqa_bench.runner.launch import PARTING, Launch, refuse_machines
from ssliqa_bench.runner.settings import Settings
from ssliqa_bench.specs import RunSpec
from ssliqa_bench.training.backbones.base import Backbone
from ssliqa_bench.training.stages import Checkpoints, StageContext
from ssliqa_bench.types import Artifact, derive_seed

_PATIENCE = timedelta(minutes=10)  # between the arrival of the first and the last process at one point
_READING = 3600.0  # seconds that others may take to read what process 0 has read before
_POLL = 0.05  # seconds


class LostProcess(RunError):
    """Another process cannot be reached; process 0 reports the reason."""


@dataclass(frozen=True)
class Order:
    """A stage that all processes train together.

    Attributes:
        spec: the run that it belongs to.
        stage: its name.
        key: that of its artifact; a process that finds another one refuses.
    """

    spec: RunSpec
    stage: str
    key: str


class Group:
    """The processes that share a run, as one of them sees them."""

    def __init__(self, launch: Launch) -> None:
        self.rank, self.size = launch.rank, launch.size
        parts: Any = dist
        board = parts.TCPStore(launch.address, launch.port, is_master=False, wait_for_workers=False)
        self._board = parts.PrefixStore(f"ssliqa-bench/{launch.attempt}", board)
        self._orders = 0

    def lead(self, order: Order) -> None:
        """As process 0: say what comes next, and wait until the others are ready for it."""
        self._orders += 1
        with self._reaching():
            self._board.set(f"order/{self._orders}", pickle.dumps(order).hex())
        self._counted(f"ready/{self._orders}", _READING)

    def part(self) -> None:
        """End in good order: process 0, which may hold the board, stays until the others have read that it is done."""
        with contextlib.suppress(RuntimeError, LostProcess):
            if self.rank:
                self._board.add("gone", 1)
                return
            self._board.set(f"order/{self._orders + 1}", "")
            self._counted("gone", PARTING)

    def next_order(self) -> Order | None:
        """As another process: what process 0 says next; None: nothing more."""
        self._orders += 1
        key = f"order/{self._orders}"
        with self._reaching():
            while not self._board.check([key]):
                time.sleep(_POLL)
            told = self._board.get(key)
        if not told:
            return None
        order = pickle.loads(bytes.fromhex(told.decode()))
        assert isinstance(order, Order)
        return order

    def ready(self) -> None:
        """As another process: say that everything for the order is read."""
        with self._reaching():
            self._board.add(f"ready/{self._orders}", 1)

    def give_up(self, why: str) -> None:
        """As another process: leave, and let process 0 report why."""
        with contextlib.suppress(RuntimeError):
            self._board.set("failed", f"process {self.rank} of {self.size}: {why}")
        _leave()  # whoever waits for this process learns now that it is gone
        until = time.monotonic() + PARTING
        with contextlib.suppress(RuntimeError):
            while time.monotonic() < until and not self._board.check(["known"]):
                time.sleep(_POLL)

    def sent(self, value: Any) -> Any:
        """What process 0 has, in every process."""
        box = [value]
        with self._reaching():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def all(self, value: Any) -> list[Any]:
        """What every process has, by rank."""
        found: list[Any] = [None] * self.size
        with self._reaching():
            dist.all_gather_object(found, value)
        return found

    def share(self, rows: int, rank: int | None = None) -> slice:
        """The rows of a batch that a process takes, by default this one: as equally many as can be, in order."""
        rank = self.rank if rank is None else rank
        each, more = divmod(rows, self.size)
        first = rank * each + min(rank, more)
        return slice(first, first + each + (rank < more))

    def gathered(self, own: torch.Tensor, rows: int) -> torch.Tensor:
        """All rows (rows, …) of a batch, of which every process has its share."""
        longest = -(-rows // self.size)
        padded = own.detach().new_zeros((longest, *own.shape[1:]))
        padded[: len(own)] = own.detach()
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        with self._reaching():
            dist.all_gather(parts, padded)
        shares = (self.share(rows, rank) for rank in range(self.size))
        return torch.cat([part[: own.stop - own.start] for part, own in zip(parts, shares, strict=True)])

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace tensors, of which every process has its own, by their means over the processes."""
        kinds: dict[tuple[torch.dtype, torch.device], list[torch.Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for own in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in own])
            with self._reaching():
                dist.all_reduce(flat)
            flat /= self.size
            for tensor, part in zip(own, torch.split(flat, [tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(part.view(tensor.shape))

    def checkpoints(self, own: Checkpoints | None) -> Checkpoints:
        """Checkpoints that all processes begin with; None: those of process 0."""
        return _SharedCheckpoints(self, own)

    def run(self, run: Callable[[StageContext], Artifact], context: StageContext) -> Artifact:
        """The artifact of a stage, trained in step by all processes.

        Raises:
            InputError: a network cannot be divided.
            RunError: the processes do not agree.
        """
        with dividing(self, context.name) as divided:
            artifact = run(context)
        self.agree(context.name, artifact)
        rows = self.all(divided.rows)
        if any(rows):
            context.report.note(f"{self.size} processes shared the rows of its networks")
            context.report.say(f"{context.name}: rows by process: {', '.join(f'{own:,}' for own in rows)}")
        else:
            context.report.note(
                f"nothing of it is divided among {self.size} processes: it calls no network of class Backbone on a "
                f"whole batch"
            )
        return artifact

    def agree(self, stage: str, state: Artifact) -> None:
        """Compare what every process has after an epoch or a stage.

        Raises:
            RunError: they differ.
        """
        marks = self.all(_mark(state))
        if len(set(marks)) > 1:
            apart = [rank for rank, mark in enumerate(marks) if mark != marks[0]]
            raise RunError(
                f"{stage}: process {apart[0]} has other weights than process 0, though both saw the same batches. A "
                f"learner whose steps depend on more than batches, seed and weights (time, files, a generator of its "
                f"own) cannot be shared; run it without torchrun."
            )

    def _counted(self, key: str, seconds: float) -> None:
        """Wait until all others have added to a counter."""
        until = time.monotonic() + seconds
        with self._reaching():
            while self._board.add(key, 0) < self.size - 1:
                if self._board.check(["failed"]) or time.monotonic() > until:
                    raise RuntimeError(f"{key}: not all processes came")
                time.sleep(_POLL)

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say in one way that another process is not there."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise LostProcess(self._reason() if self.rank == 0 else str(error)) from error

    def _reason(self) -> str:
        """What another process said before it left."""
        until = time.monotonic() + PARTING / 2
        with contextlib.suppress(RuntimeError):
            while time.monotonic() < until:
                if self._board.check(["failed"]):
                    told: str = self._board.get("failed").decode()
                    self._board.set("known", "")
                    return told
                time.sleep(_POLL)
        return (
            f"one of the {self.size} processes that share the run was lost (killed, out of memory, or more than "
            f"{_PATIENCE.seconds // 60} minutes behind). The same command resumes after the last finished epoch."
        )


_current: Group | None = None


def current_group() -> Group | None:
    """The processes that share the runs of this one; None where it is alone."""
    return _current


@contextlib.contextmanager
def joined(launch: Launch, settings: Settings) -> Iterator[Group]:
    """Meet the other processes, on CUDA each with a GPU of its own; they part at the end.

    Raises:
        InputError: processes of several machines, or fewer GPUs than processes.
    """
    global _current
    refuse_machines(launch)
    kind = device_kind(settings.device)
    if kind == "cuda" and cuda_devices() < launch.size:
        raise InputError(
            f"torchrun started {launch.size} processes, and the driver shows {cuda_devices()} GPUs; each process needs "
            f"one. Start fewer (torchrun --nproc_per_node {max(cuda_devices(), 1)}), or run with --device cpu."
        )
    prepare_process(kind, settings.threads)
    # Torch imports it with the first optimiser. It then keeps the group that is there, so that leaving would close no
    # connection and the others would wait.
    import_module("torch.distributed.nn.functional")
    from accelerate import PartialState

    state = PartialState(cpu=kind == "cpu", timeout=_PATIENCE)
    _current = group = Group(launch)
    try:
        yield group
        group.part()
    finally:
        _current = None
        _leave()
        state._reset_state()


@dataclass
class Divided:
    """How many rows of batches this process has sent through networks for all."""

    rows: int = 0


@contextlib.contextmanager
def dividing(group: Group, stage: str = "training") -> Iterator[Divided]:
    """Divide every call of a `Backbone` in this thread, and average gradients before every optimiser step.

    A call is left whole where its batch has fewer rows than there are processes, and so is what is no call, such as
    `JudgingBackbone.judge`. Inside a divided call every process draws numbers of its own; after it the generators are
    what they were before, equal in all.

    Args:
        stage: for messages.
    """
    calls = _Calls(group, stage)
    handles = (
        register_module_forward_pre_hook(calls.before),
        register_module_forward_hook(calls.after, always_call=True),
        register_optimizer_step_pre_hook(calls.step),
    )
    try:
        yield calls.divided
    finally:
        for handle in handles:
            handle.remove()


class _Calls:
    """The hooks of `dividing`."""

    def __init__(self, group: Group, stage: str) -> None:
        self.divided = Divided()
        self._group, self._stage = group, stage
        self._thread = threading.get_ident()
        self._inside: nn.Module | None = None  # the network that is being called; those within it see its rows
        self._rows = 0
        self._generators = _Generators(group.rank)

    def before(self, module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """Take the rows of this process."""
        if not isinstance(module, Backbone) or self._inside is not None or threading.get_ident() != self._thread:
            return None
        if len(inputs) != 1 or not isinstance(inputs[0], torch.Tensor) or len(inputs[0]) < self._group.size:
            return None
        self._refuse_statistics(module)
        (whole,) = inputs
        self._inside, self._rows = module, len(whole)
        self._generators.part(whole.device)
        return (_Taken.apply(whole, self._group),)

    def after(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """Give every process all feature vectors; none follow from a call that failed, which has no output."""
        if module is not self._inside:
            return None
        self._inside = None
        self._generators.meet()
        if output is None:
            return None
        own = self._group.share(self._rows)
        if not isinstance(output, torch.Tensor) or len(output) != own.stop - own.start:
            raise InputError(
                f"{self._stage}: network {type(module).__name__} does not give one vector for each crop; it cannot be "
                f"divided among {self._group.size} processes. Run without torchrun."
            )
        self.divided.rows += len(output)
        return _Gathered.apply(output, self._group, self._rows)

    def step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Average the gradients."""
        gradients = (p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
        self._group.average(gradients)

    def _refuse_statistics(self, network: nn.Module) -> None:
        for name, layer in network.named_modules():
            kept = isinstance(layer, _BatchNorm) or (isinstance(layer, _InstanceNorm) and layer.track_running_stats)
            if kept and layer.training:
                raise InputError(
                    f"{self._stage}: network {type(network).__name__} has batch norm in training (layer {name}, "
                    f"{type(layer).__name__}): each of the {self._group.size} processes would normalise by its own "
                    f"rows instead of the whole batch. Run without torchrun, or choose a network without batch norm, "
                    f"such as timm:deit3_small_patch16_224.fb_in1k, by the parameter of the method that names it "
                    f"(--set backbone=…, student_backbone=… or teacher_backbone=…)."
                )


class _Generators:
    """Random numbers inside divided calls: of each process its own, and no trace of them outside.

    They follow from the state before the call, so that a resumed run draws what it would have drawn.
    """

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._last, self._repeats = "", 0
        self._state: torch.Tensor | None = None
        self._cuda: tuple[torch.device, torch.Tensor] | None = None

    def part(self, device: torch.device) -> None:
        """Begin to draw numbers of one's own."""
        self._state = torch.get_rng_state()
        self._cuda = (device, torch.cuda.get_rng_state(device)) if device.type == "cuda" else None
        states = [self._state, *([] if self._cuda is None else [self._cuda[1]])]
        mark = hashlib.sha256(b"".join(own.numpy().tobytes() for own in states)).hexdigest()
        # Several calls in a row, between which nothing is drawn, must not drop the same.
        self._repeats = self._repeats + 1 if mark == self._last else 0
        self._last = mark
        torch.manual_seed(derive_seed("rank", self._rank, mark, self._repeats))

    def meet(self) -> None:
        """Continue as if nothing had been drawn."""
        assert self._state is not None
        torch.set_rng_state(self._state)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda[1], self._cuda[0])


class _Taken(torch.autograd.Function):
    """The rows of this process; backwards the mean over the processes of what each has for its rows."""

    @staticmethod
    def forward(ctx: Any, whole: torch.Tensor, group: Group) -> torch.Tensor:
        ctx.group, ctx.rows = group, len(whole)
        return whole[group.share(len(whole))]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return ctx.group.gathered(gradients[0] / ctx.group.size, ctx.rows), None


class _Gathered(torch.autograd.Function):
    """All rows; backwards those of this process, times the number of processes."""

    @staticmethod
    def forward(ctx: Any, own: torch.Tensor, group: Group, rows: int) -> torch.Tensor:
        ctx.group, ctx.rows = group, rows
        return group.gathered(own, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0][ctx.group.share(ctx.rows)] * ctx.group.size, None, None


class _SharedCheckpoints:
    """Checkpoints of process 0, read by all; before one is written, the processes compare what they have."""

    def __init__(self, group: Group, own: Checkpoints | None) -> None:
        self._group, self._own = group, own

    def save(self, state: Artifact) -> None:
        """Replace the checkpoint."""
        self._group.agree(str(state.meta.get("stage", "training")), state)
        if self._own is not None:
            self._own.save(state)

    def load(self) -> Artifact | None:
        """The checkpoint that process 0 finds, or None."""
        found = self._group.sent(None if self._own is None else self._own.load())
        assert found is None or isinstance(found, Artifact)
        return found


def _mark(state: Artifact) -> str:
    """Digest of all arrays."""
    mark = hashlib.sha256()
    for name in sorted(state.tensors):
        value = state.tensors[name]
        mark.update(f"{name} {value.dtype} {value.shape}".encode())
        mark.update(value.tobytes())
    return mark.hexdigest()


def _leave() -> None:
    """Part from the other processes; collective calls of theirs that wait for this one fail."""
    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
