"""The sequential model's training loop: batches, schedule, early stopping, checkpoint and resume.

In: a model, prepared sequences, options, and a function that judges the model on validation. Out:
the model with its best weights, and the curve. Every random draw is seeded by (seed, epoch, batch),
so a run that was killed and resumed takes the same steps as one that was not. Under `torchrun` each
process takes its part of every batch and gradients are summed, so the steps stay those of one.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from components.recommend.losses import full_softmax, gbce, sampled_softmax
from components.recommend.sasrec import SASRec
from components.recommend.sequence_scorer import time_gap_buckets
from components.recommend.sequences import bucketed, flatten

log = logging.getLogger(__name__)
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class TrainOptions:
    """How to train; the model's shape lies in `SASRecConfig`.

    Attributes:
        epochs: passes over the visitors; the cosine of the learning rate ends there.
        seconds: stop after this much processor time per thread (wall time on free cores), keeping
            the best weights so far. A guard: planned runs end by epochs, so that the result does
            not depend on the machine or on what else it does.
        patience: epochs without a better validation score before stopping.
        batch_size: visitors per step.
        max_tokens: predictions per step at most (bounds the logits buffer).
        max_events: events of a visitor that the model sees, the most recent.
        warmup: steps of linear warm-up.
        smoothing: label smoothing of the full softmax.
        negatives: drawn products per step (sampled_softmax) or per prediction (gbce).
        floor: final learning rate as a share of the highest.
        crop: share of visitors of a batch cut at a random earlier event.
    """

    seed: int = 7
    epochs: int = 12
    seconds: float = 1e9
    patience: int = 3
    batch_size: int = 64
    max_tokens: int = 2048
    max_events: int = 50
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    warmup: int = 100
    floor: float = 0.01
    loss: str = "full_softmax"
    smoothing: float = 0.0
    negatives: int = 256
    calibration: float = 0.75
    crop: float = 0.0


@dataclass
class TrainingData:
    """Sequences laid flat, with what comes after each event.

    Each event is asked for one product of the visitor's next step (the next event, or a product
    drawn from the next basket), so the order inside a basket teaches nothing.
    """

    items: IntArray
    start: IntArray
    usable: IntArray
    next_from: IntArray
    next_to: IntArray
    n_products: int
    kinds: IntArray | None = None
    buckets: IntArray | None = None

    @classmethod
    def of(
        cls,
        sequences: Sequence[Any],
        n_products: int,
        *,
        steps: Sequence[Any] | None = None,
        kinds: Sequence[Any] | None = None,
        hours: Sequence[Any] | None = None,
        time_gaps: int = 0,
    ) -> "TrainingData":
        """Lay sequences flat.

        Args:
            sequences: per visitor (T,) product indices, oldest first.
            n_products: V.
            steps: per visitor (T,) basket numbers; each event its own step if absent.
            kinds: per visitor (T,) event kinds.
            hours: per visitor (T,) times in hours.
            time_gaps: number of buckets for the time between events.
        """
        items, owner = flatten(sequences)
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        start = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        end = (start + lengths)[owner] if len(items) else items
        place = np.arange(len(items))
        if steps is None:
            next_from = place + 1
            next_to = np.minimum(place + 2, end)
        else:
            number, _ = flatten(steps)
            first = np.r_[True, (number[1:] != number[:-1]) | (owner[1:] != owner[:-1])]
            group = np.cumsum(first) - 1
            group_start = np.r_[np.flatnonzero(first), len(items)]
            next_from = group_start[group + 1]
            next_to = np.minimum(group_start[np.minimum(group + 2, len(group_start) - 1)], end)
        next_to = np.where(next_from < end, next_to, next_from)
        usable = np.bincount(owner[next_from < end], minlength=len(sequences)).astype(np.int64)
        return cls(
            items, start, usable, next_from, next_to, n_products,
            kinds=flatten(kinds)[0] if kinds is not None else None,
            buckets=np.concatenate([time_gap_buckets(at, time_gaps) for at in hours])
            if hours is not None and time_gaps else None,
        )  # fmt: skip

    def batch(
        self, visitors: IntArray, options: TrainOptions, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return padded inputs (B, T), and for the (N,) real places their flat index and target."""
        usable = self.usable[visitors]
        if options.crop:
            cut = rng.random(len(visitors)) < options.crop
            usable = np.where(cut, rng.integers(1, usable + 1), usable)
        length = np.minimum(usable, options.max_events)
        first = self.start[visitors] + usable - length
        t = int(length.max())
        grid = np.arange(t)[None, :]
        real = grid < length[:, None]  # (B, T)
        place = np.where(real, first[:, None] + grid, 0)
        inputs = np.where(real, self.items[place], self.n_products)
        at = place[real]
        room = self.next_to[at] - self.next_from[at]
        drawn = self.next_from[at] + (rng.random(len(at)) * room).astype(np.int64)
        out = {
            "items": torch.from_numpy(inputs),
            "places": torch.from_numpy(np.flatnonzero(real)),
            "target": torch.from_numpy(self.items[drawn]),
        }
        if self.kinds is not None:
            out["kinds"] = torch.from_numpy(np.where(real, self.kinds[place], 0))
        if self.buckets is not None:
            out["time_gaps"] = torch.from_numpy(np.where(real, self.buckets[place], 0))
        return out


@dataclass
class Progress:
    """Where a run stands; goes into the checkpoint."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = -1.0
    best_epoch: int = -1
    loss_sum: float = 0.0
    predictions: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    ended: str = ""


def train(
    model: SASRec,
    data: TrainingData,
    options: TrainOptions,
    *,
    validate: Callable[[SASRec], float] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
    stop_after: int | None = None,
    show: bool | None = None,
) -> Progress:
    """Train in place; the model ends with the weights of its best epoch.

    Args:
        model: fresh, or any weights to go on from.
        data: what to learn.
        options: how.
        validate: higher is better, called after each epoch; without it the last weights stay.
        checkpoint: file written every `checkpoint_every` steps and after each epoch, and read
            first if it is there and was made with the same options; removed at the end.
        checkpoint_every: steps between checkpoints.
        stop_after: end after so many steps in this call as a kill would (the checkpoint stays).
        show: progress bar with the time left; by default only on a terminal.

    Returns:
        The curve: per epoch the mean training loss and the validation score.
    """
    begun = time.process_time()
    rank, world = _place()
    names = [name for name, _ in model.named_parameters()]
    parameters = [parameter for _, parameter in model.named_parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=options.learning_rate, weight_decay=options.weight_decay,
        betas=(0.9, 0.98), fused=True,
    )  # fmt: skip
    progress, best = Progress(), [parameter.detach().clone() for parameter in parameters]
    if checkpoint is not None and checkpoint.is_file():
        progress = _resume(checkpoint, names, parameters, optimiser, best, options)
    per_epoch = sum(1 for _ in _batches(data, options, 0))
    total = max(per_epoch * options.epochs, 1)
    buffer = torch.empty(0)
    taken = 0
    with _bar(total, progress.step, show) as tick:
        while progress.epoch < options.epochs and not progress.ended:
            model.train()
            for number, visitors in enumerate(_batches(data, options, progress.epoch)):
                if number < progress.batch:
                    continue
                if time.process_time() - begun > options.seconds * torch.get_num_threads():
                    progress.ended = "time"
                    log.warning("training stopped by its time budget at step %d", progress.step)
                    break
                rng = np.random.default_rng([options.seed, progress.epoch, number])
                torch.manual_seed(int(rng.integers(2**31)) + rank)
                for group in optimiser.param_groups:
                    group["lr"] = options.learning_rate * _schedule(progress.step, total, options)
                batch = data.batch(visitors, options, rng)
                if options.loss == "full_softmax":
                    need = len(batch["target"]) * data.n_products
                    if buffer.numel() < need:
                        buffer = torch.empty(need)
                loss = _loss(model, batch, options, rng, buffer, rank, world)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                total_loss = _sum_gradients(parameters, loss.detach(), world)
                optimiser.step()
                progress.loss_sum += total_loss * len(batch["target"])
                progress.predictions += len(batch["target"])
                progress.step += 1
                progress.batch = number + 1
                taken += 1
                tick()
                if checkpoint is not None and progress.step % checkpoint_every == 0:
                    _save(checkpoint, names, parameters, optimiser, best, progress, options)
                if stop_after is not None and taken >= stop_after:
                    return progress
            if progress.predictions:
                _end_epoch(model, parameters, best, progress, options, validate)
            if checkpoint is not None:
                _save(checkpoint, names, parameters, optimiser, best, progress, options)
    if validate is not None and progress.best_epoch >= 0:
        with torch.no_grad():
            for parameter, kept in zip(parameters, best, strict=True):
                parameter.copy_(kept)
    model.eval()
    if checkpoint is not None and rank == 0:
        checkpoint.unlink(missing_ok=True)
    return progress


def _end_epoch(
    model: SASRec, parameters: list[Any], best: list[Tensor], progress: Progress,
    options: TrainOptions, validate: Callable[[SASRec], float] | None,
) -> None:  # fmt: skip
    row = {"epoch": progress.epoch + 1, "loss": progress.loss_sum / progress.predictions}
    if validate is not None:
        model.eval()
        row["valid"] = float(validate(model))
        if row["valid"] > progress.best:
            progress.best, progress.best_epoch = row["valid"], progress.epoch
            for kept, parameter in zip(best, parameters, strict=True):
                kept.copy_(parameter.detach())
        elif progress.epoch - progress.best_epoch >= options.patience and not progress.ended:
            progress.ended = "patience"
    log.info("epoch %(epoch)d: loss %(loss).4f, valid %(valid)s", {"valid": None, **row})
    progress.curve.append(row)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    progress.loss_sum, progress.predictions = 0.0, 0


def _batches(data: TrainingData, options: TrainOptions, epoch: int) -> Iterator[IntArray]:
    lengths = np.minimum(data.usable, options.max_events)
    rng = np.random.default_rng([options.seed, epoch])
    return bucketed(lengths, options.batch_size, rng, max_tokens=options.max_tokens)


def _schedule(step: int, total: int, options: TrainOptions) -> float:
    warm = min(1.0, (step + 1) / max(options.warmup, 1))
    cosine = 0.5 * (1.0 + np.cos(np.pi * min(step / total, 1.0)))
    return warm * (options.floor + (1.0 - options.floor) * cosine)


def _loss(
    model: SASRec, batch: dict[str, Tensor], options: TrainOptions, rng: np.random.Generator,
    buffer: Tensor, rank: int, world: int,
) -> Tensor:  # fmt: skip
    items, places, target = batch["items"], batch["places"], batch["target"]
    side = {name: batch[name] for name in ("kinds", "time_gaps") if name in batch}
    whole = len(target)
    if world > 1:
        length = items.shape[1]
        mine = (places // length) % world == rank
        row = places[mine] // length
        places = (row // world) * length + places[mine] % length
        target, items = target[mine], items[rank::world]
        side = {name: value[rank::world] for name, value in side.items()}
    table = model.table()
    if not len(target):
        return table.sum() * 0.0
    hidden = model(items, table, **side).flatten(0, 1)[places]  # (N, D)
    weight = torch.full((len(target),), 1.0 / whole)
    v = len(table)
    if options.loss == "full_softmax":
        return full_softmax(
            hidden, table, target, weight=weight, smoothing=options.smoothing, buffer=buffer
        )
    if options.loss == "sampled_softmax":
        negatives = torch.from_numpy(rng.integers(0, v, options.negatives))
        even = torch.full((v,), -float(np.log(v)))
        return sampled_softmax(hidden, table, target, negatives, even, weight=weight)
    drawn = torch.from_numpy(rng.integers(0, v - 1, (len(target), options.negatives)))
    drawn = drawn + (drawn >= target.unsqueeze(1)).long()
    return gbce(
        hidden, table, target, drawn,
        n_products=v, calibration=options.calibration, weight=weight,
    )  # fmt: skip


@contextmanager
def process_group() -> Iterator[int]:
    """Join the other processes if `torchrun` started several; yields this one's rank.

    Gloo over the address that torchrun sets; a process alone is rank 0 and joins nothing.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield 0
        return
    torch.distributed.init_process_group("gloo")
    try:
        yield torch.distributed.get_rank()
    finally:
        torch.distributed.destroy_process_group()


def _place() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _sum_gradients(parameters: list[Any], loss: Tensor, world: int) -> float:
    if world == 1:
        return float(loss)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
    loss = loss.clone()
    torch.distributed.all_reduce(loss)
    return float(loss)


def _identity(options: TrainOptions) -> str:
    kept = {name: value for name, value in asdict(options).items() if name != "seconds"}
    return json.dumps(kept, sort_keys=True)


def _save(
    path: Path, names: list[str], parameters: list[Any], optimiser: torch.optim.Optimizer,
    best: list[Tensor], progress: Progress, options: TrainOptions,
) -> None:  # fmt: skip
    if _place()[0]:
        return
    tensors: dict[str, Tensor] = {}
    for name, parameter, kept in zip(names, parameters, best, strict=True):
        tensors[f"weight.{name}"] = parameter.detach().clone()
        tensors[f"best.{name}"] = kept
        state = optimiser.state.get(parameter, {})
        for key in ("exp_avg", "exp_avg_sq"):
            if key in state:
                tensors[f"{key}.{name}"] = state[key]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    head = {"progress": json.dumps(asdict(progress)), "options": _identity(options)}
    save_file(tensors, temporary, metadata=head)
    temporary.replace(path)


def _resume(
    path: Path, names: list[str], parameters: list[Any], optimiser: torch.optim.Optimizer,
    best: list[Tensor], options: TrainOptions,
) -> Progress:  # fmt: skip
    with safe_open(path, framework="pt") as stored:
        head = stored.metadata() or {}
        if head.get("options") != _identity(options):
            log.warning("%s was made with other options; training starts anew", path)
            return Progress()
        progress = Progress(**json.loads(head["progress"]))
        held = set(stored.keys())
        with torch.no_grad():
            for name, parameter, kept in zip(names, parameters, best, strict=True):
                parameter.copy_(stored.get_tensor(f"weight.{name}"))
                kept.copy_(stored.get_tensor(f"best.{name}"))
                if f"exp_avg.{name}" in held:
                    optimiser.state[parameter] = {
                        "step": torch.tensor(float(progress.step)),
                        "exp_avg": stored.get_tensor(f"exp_avg.{name}"),
                        "exp_avg_sq": stored.get_tensor(f"exp_avg_sq.{name}"),
                    }
    log.info("training goes on at step %d", progress.step)
    return progress


@contextmanager
def _bar(total: int, done: int, show: bool | None) -> Iterator[Callable[[], None]]:
    from rich.console import Console

    console = Console(stderr=True)
    if show is False or (show is None and not console.is_terminal) or _place()[0]:
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=total, completed=done)
        yield lambda: bar.advance(task)
