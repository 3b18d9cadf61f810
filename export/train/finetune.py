"""Teach a network the classes of a list of photos: the head first, then the whole network."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch.nn import functional

from edge.data import U8Image
from edge.errors import DataError
from export.load.model import FloatModel
from export.progress import Progress
from export.train import state as states
from export.train.augment import mixed, random_view
from export.train.photos import Photos, as_input
from export.train.settings import Epoch, TrainSettings
from export.train.state import State

_HEAD_RATE = 4.0  # the fresh layer's learning rate ÷ the body's
_VALIDATION_BATCH = 32

Told = Callable[[list[Epoch]], None]
"""Called after each epoch with the whole history."""


@dataclass(frozen=True, slots=True)
class Training:
    """What is trained on what. ``head`` names the parameters of ``model.module`` that are fresh; ``teacher`` has the same classes."""

    model: FloatModel
    head: frozenset[str]
    train: Photos
    val: Photos | None
    teacher: FloatModel | None = None


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """``model`` holds the averaged weights of ``best_epoch`` (from 0): the best one on validation, or the last without it."""

    model: FloatModel
    history: tuple[Epoch, ...]
    best_epoch: int
    stopped_early: bool


def finetune(
    task: Training,
    settings: TrainSettings,
    asked: dict[str, str],
    state_path: Path,
    *,
    told: Told,
    progress: Progress,
    free: frozenset[str] = frozenset(),
) -> TrainedModel:
    """Train, or go on with what ``state_path`` holds.

    Args:
        task: network and photos; its module is changed.
        settings: how.
        asked: what else identifies the run (network, files), by option; a state of another run is refused.
        state_path: replaced after every epoch, removed by the caller once the result is kept.
        told: called after each epoch.
        progress: one step a batch.
        free: options in which the state may be of another run: with ``--epochs``, one that has ended can get more of them.

    Raises:
        DataError: fewer photos than a batch; or the loss is not finite.
        UsageError: the state is of a run that was asked something else.
        SinkError: the state cannot be written.
    """
    settings.check()
    if len(task.train.images) < settings.batch:
        raise DataError(
            f"{len(task.train.images)} training photos are fewer than a batch", fix=f"--batch {len(task.train.images)} or less"
        )
    fingerprint = asked | _fingerprint(task, settings)
    run = _Run(task, settings)
    saved = states.restore(state_path, fingerprint, free)
    if saved is not None:
        run.resume(saved)
    steps = len(task.train.images) // settings.batch
    advance = progress("training", settings.total_epochs * steps)
    for _ in range(run.epochs_done * steps):
        advance()
    while run.epochs_done < settings.total_epochs and not run.stopped:
        run.epoch(advance)
        states.save(state_path, run.state(fingerprint))
        told(run.history)
    return run.outcome()


class _Run:
    """The network in training, the running mean of its weights, and the history."""

    def __init__(self, task: Training, settings: TrainSettings) -> None:
        self._task, self._settings = task, settings
        self._network = task.model.module.to(memory_format=torch.channels_last)
        self._average = copy.deepcopy(self._network).eval()
        self._optimiser = _optimiser(self._network, task.head, settings)
        self._val: U8Image | None = None if task.val is None else as_input(task.val, task.model)
        self._best: dict[str, Any] | None = None
        self._steps = 0
        self.epochs_done = 0
        self.history: list[Epoch] = []
        self.stopped = False

    def resume(self, saved: State) -> None:
        self._network.load_state_dict(saved.network)
        self._average.load_state_dict(saved.average)
        self._optimiser.load_state_dict(saved.optimiser)
        self._best, self.epochs_done = saved.best, saved.epochs_done
        self._steps = saved.epochs_done * (len(self._task.train.images) // self._settings.batch)
        self.history = [msgspec.convert(row, Epoch) for row in saved.history]
        self._judge_patience()

    def state(self, fingerprint: dict[str, str]) -> State:
        return State(
            fingerprint=fingerprint,
            epochs_done=self.epochs_done,
            network=self._network.state_dict(),
            average=self._average.state_dict(),
            optimiser=self._optimiser.state_dict(),
            best=self._best,
            history=[msgspec.to_builtins(row) for row in self.history],
        )

    def epoch(self, advance: Callable[[], None]) -> None:
        number, settings = self.epochs_done, self._settings
        head_only = number < settings.head_epochs
        size_hw_px = settings.size_hw_px(number, self._task.model.size_hw_px)
        torch.manual_seed(settings.seed * 100_003 + number)  # dropout and the like
        rng = np.random.default_rng([settings.seed, number])
        self._prepare(head_only)
        start, losses = time.perf_counter(), []
        for views, targets, share in self._batches(size_hw_px, rng):
            rate = settings.rate(number, share)
            for group in self._optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            losses.append(self._step(views, targets))
            self._follow()
            advance()
        seconds = time.perf_counter() - start
        val_loss, val_top1 = self._validate()
        self.history.append(
            Epoch(
                epoch=number,
                phase="head" if head_only else "whole",
                side_px=size_hw_px[0],
                learning_rate=rate,
                train_loss=float(np.mean(losses)),
                val_loss=val_loss,
                val_top1=val_top1,
                seconds=seconds,
            )
        )
        self.epochs_done += 1
        if val_top1 is not None and self._best_epoch() == number:
            self._best = copy.deepcopy(self._average.state_dict())
        self._judge_patience()

    def outcome(self) -> TrainedModel:
        if self._best is not None:
            self._average.load_state_dict(self._best)
        module = self._average.to(memory_format=torch.contiguous_format).eval()
        best = self._best_epoch() if self._best is not None else self.epochs_done - 1
        return TrainedModel(replace(self._task.model, module=module), tuple(self.history), best, self.stopped)

    def _prepare(self, head_only: bool) -> None:
        """While only the head learns, the body is as in use: its batch statistics are not those of a network that changes."""
        self._network.train(not head_only)
        for name, parameter in self._network.named_parameters():
            parameter.requires_grad_(not head_only or name in self._task.head)

    def _batches(
        self, size_hw_px: tuple[int, int], rng: np.random.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
        """(N×3×H×W normalised views, N×C target probabilities, share of the epoch that is done); a rest smaller than a batch waits
        for another epoch's order."""
        photos, settings = self._task.train, self._settings
        order, classes = rng.permutation(len(photos.images)), self._task.model.width
        steps = len(order) // settings.batch
        for step in range(steps):
            chosen = order[step * settings.batch : (step + 1) * settings.batch]
            views = np.stack([random_view(photos.images[i], size_hw_px, settings.augmentation, rng) for i in chosen])
            truth = np.eye(classes, dtype=np.float32)[photos.truth[chosen]]
            pixels, targets = mixed(views.astype(np.float32), truth, settings.augmentation, rng)
            yield normalised(pixels, self._task.model), torch.from_numpy(targets), step / steps

    def _step(self, views: torch.Tensor, targets: torch.Tensor) -> float:
        settings, classes = self._settings, targets.shape[1]
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / classes
        logits = self._network(views)
        loss = functional.cross_entropy(logits, smooth)
        if self._task.teacher is not None:
            teaching = _divergence(logits, self._taught(views), settings.temperature)
            loss = (1 - settings.teacher_share) * loss + settings.teacher_share * teaching
        value = float(loss.detach())
        if not np.isfinite(value):
            raise DataError(f"the loss is {value} in epoch {self.epochs_done + 1}", fix="a smaller --learning-rate")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return value

    def _taught(self, views: torch.Tensor) -> torch.Tensor:
        """The teacher's logits for the same views, at its own normalisation and size."""
        teacher, model = self._task.teacher, self._task.model
        assert teacher is not None
        with torch.inference_mode():
            pixels = views * _channels(model.normalisation.scale) + _channels(model.normalisation.mean)
            pixels = functional.interpolate(pixels, teacher.size_hw_px, mode="bilinear", antialias=True)
            normalised = (pixels - _channels(teacher.normalisation.mean)) / _channels(teacher.normalisation.scale)
            logits: torch.Tensor = teacher.module(normalised.contiguous(memory_format=torch.channels_last))
        return logits.clone()

    def _follow(self) -> None:
        """Move the averaged weights towards the network's; quicker in the first steps, when there is little to average."""
        self._steps += 1
        decay = min(self._settings.average, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for mean, value in zip(self._average.state_dict().values(), self._network.state_dict().values(), strict=True):
                mean.lerp_(value, 1 - decay) if mean.is_floating_point() else mean.copy_(value)

    def _validate(self) -> tuple[float | None, float | None]:
        """(loss, top-1) of the averaged weights."""
        if self._val is None or self._task.val is None:
            return None, None
        rows = []
        with torch.inference_mode():
            for start in range(0, len(self._val), _VALIDATION_BATCH):
                pixels = self._val[start : start + _VALIDATION_BATCH].astype(np.float32)
                rows.append(self._average(normalised(pixels, self._task.model)))
        logits, truth = torch.cat(rows), torch.from_numpy(self._task.val.truth)
        return float(functional.cross_entropy(logits, truth)), float((logits.argmax(1) == truth).float().mean())

    def _best_epoch(self) -> int:
        """The earliest of the best in accuracy, then in loss."""
        judged = [epoch for epoch in self.history if epoch.val_top1 is not None]
        return max(judged, key=lambda epoch: (epoch.val_top1 or 0.0, -(epoch.val_loss or 0.0))).epoch if judged else -1

    def _judge_patience(self) -> None:
        waited = self.epochs_done - 1 - self._best_epoch()
        patience = self._settings.patience
        self.stopped = (
            bool(patience) and self._best is not None and waited >= patience and self.epochs_done > self._settings.head_epochs
        )


def _optimiser(network: torch.nn.Module, head: frozenset[str], settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation do not decay."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((decay, _HEAD_RATE if name in head else 1.0), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": rows, "weight_decay": decay, "factor": factor} for (decay, factor), rows in groups.items()],
        lr=settings.learning_rate,
    )


def normalised(pixels: Any, model: FloatModel) -> torch.Tensor:
    """N×H×W×3 float32 0…255 → N×3×H×W, normalised, channels last in memory (twice as quick on a CPU)."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    normalised = (tensor - _channels(model.normalisation.mean)) / _channels(model.normalisation.scale)
    return normalised.contiguous(memory_format=torch.channels_last)


def _channels(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)


def _divergence(logits: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback–Leibler divergence of softened answers, times T² so that its gradient does not depend on T (Hinton et al. 2015)."""
    ours, theirs = functional.log_softmax(logits / temperature, 1), functional.log_softmax(taught / temperature, 1)
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2


def _fingerprint(task: Training, settings: TrainSettings) -> dict[str, str]:
    """Everything that the weights depend on, by option. The order of the classes is in the labels."""
    told = {f"--{key.replace('_', '-')}": str(value) for key, value in asdict(settings).items()}
    told["training photos"] = task.train.sha256
    told["validation photos"] = task.val.sha256 if task.val is not None else "none"
    told["labels"] = str(task.model.labels)
    told["input size"] = str(task.model.size_hw_px)
    told["--mean, --scale, --fit"] = f"{task.model.normalisation} {task.model.fit}"
    return told
