"""Training of the classifiers: twins, random fills, and an auxiliary task that is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...models.fill import fill_image
from ...types import NUM_LAYERS
from .data import Family
from .networks import CHANNELS_LAST, FEATURE_STRIDE, Classifier, over_volume, spatial_mean

CHANNELS = {"bmode": [0], "swe": [1], "both": [0, 1]}
PAIRS = 16  # twins a step
SLICES = {3: None, 2: 6}  # slices of each scan a step, by spatial dimensions; None: all
LEARNING_RATE = 6e-3
FILLED = 0.5  # share of the pairs that get some layers filled
KEPT = 0.6  # probability that a layer keeps its own content in those
BOTH_MODES = (0.4, 0.4, 0.2)  # setup both: effect in B-mode only, shear wave only, both
AUXILIARY = 0.5
SPILL = 0.1  # in the second half of the training; earlier it keeps the net from learning at all
# How often a twin is taken, by the layer planted in B-mode (label value): the layers of the demo more often.
BMODE_WEIGHT = np.array([0.0, 0.3, 0.8, 0.4, 1.6, 1.2, 1.2])
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Bank:
    """All families as tensors. control, fill (N, 2, z, y, x); labels (N, z, y, x); case (N, T, 2, z, y, x); layers
    (N, T, 2): label values of the layers planted in B-mode and in shear wave. share (N, 7, fz, fy, fx): how much of
    each cell of the features is which layer."""

    control: Tensor
    case: Tensor
    layers: Tensor
    labels: Tensor
    fill: Tensor
    share: Tensor


def make_bank(families: Sequence[Family], profile: NDArray[np.float32], dims: int = 3) -> Bank:
    """Stack families; the fill is that of the pipeline: `cohort_profile` by the profile that will be shipped."""
    fills = [fill_image(f.labels, profile) for f in families]
    labels = torch.from_numpy(np.stack([f.labels for f in families])).long()

    def share(one: Tensor) -> Tensor:
        hot = F.one_hot(one, NUM_LAYERS + 1).movedim(-1, 0).float()
        return F.avg_pool3d(hot, FEATURE_STRIDE[dims])

    return Bank(
        control=torch.from_numpy(np.stack([f.image for f in families])),
        case=torch.from_numpy(np.stack([[t.image for t in f.twins] for f in families])),
        layers=torch.tensor([[(t.bmode_layer, t.swe_layer) for t in f.twins] for f in families]),
        labels=labels,
        fill=torch.from_numpy(np.stack(fills)),
        share=torch.stack([share(one) for one in labels]),
    )


@dataclass(frozen=True)
class Batch:
    """image (2, B, C, z, y, x): controls, then cases. planted (B, 7): layers whose effect shows in the case."""

    image: Tensor
    planted: Tensor
    share: Tensor


def draw_batch(
    bank: Bank, rng: np.random.Generator, setup: str, pairs: int = PAIRS, slices: int | None = None
) -> Batch:
    """Twins of `pairs` subjects, whole or `slices` of their slices. Some layers of some pairs are replaced by the fill,
    in both twins alike; a pair whose planted layer is gone is two controls."""
    i = torch.from_numpy(rng.choice(len(bank.control), pairs, replace=False))
    j = _draw_twins(rng, bank.layers[i], setup)
    channels = CHANNELS[setup]
    control, case, labels = bank.control[i][:, channels], bank.case[i, j][:, channels], bank.labels[i]
    shown = _shown(rng, setup, pairs)
    hidden = ~shown[:, channels]
    case[hidden] = control[hidden]
    keep = rng.random((pairs, NUM_LAYERS + 1)) < KEPT
    keep[rng.random(pairs) >= FILLED] = True
    kept = torch.from_numpy(keep)
    own = torch.gather(kept, 1, labels.reshape(pairs, -1)).reshape(labels.shape)
    image = torch.where(own[None, :, None], torch.stack([control, case]), bank.fill[i][:, channels])
    hit = F.one_hot(bank.layers[i, j], NUM_LAYERS + 1).bool() & shown[:, :, None]
    batch = _mirror(rng, Batch(image, hit.any(1) & kept, bank.share[i]))
    return batch if slices is None else _some_slices(rng, batch, slices)


def _some_slices(rng: np.random.Generator, batch: Batch, slices: int) -> Batch:
    """The same slices of every scan, drawn anew; of the features too, which a 2D network has slice by slice."""
    z = torch.from_numpy(np.sort(rng.choice(batch.image.shape[-3], slices, replace=False)))
    return Batch(batch.image.index_select(-3, z), batch.planted, batch.share.index_select(-3, z))


def _draw_twins(rng: np.random.Generator, layers: Tensor, setup: str) -> Tensor:
    """(pairs,): one twin of each subject, by the weight of its planted layer in B-mode; uniform for shear wave."""
    if setup == "swe":
        return torch.from_numpy(rng.integers(0, layers.shape[1], len(layers)))
    weight = BMODE_WEIGHT[layers[:, :, 0].numpy()]
    turn = rng.random((len(layers), 1)) * weight.sum(1, keepdims=True)
    return torch.from_numpy((weight.cumsum(1) < turn).sum(1))


def _shown(rng: np.random.Generator, setup: str, pairs: int) -> Tensor:
    """(pairs, 2): whether the case shows its effect in B-mode and in shear wave."""
    if setup == "both":
        mode = rng.choice(3, pairs, p=BOTH_MODES)
        return torch.from_numpy(np.stack([mode != 1, mode != 0], axis=1))
    return torch.tensor([[setup == "bmode", setup == "swe"]]).expand(pairs, 2)


def _mirror(rng: np.random.Generator, batch: Batch) -> Batch:
    """Flip the whole batch sideways and along the spine at random: a back has no preferred side."""
    axes = [axis for axis in (-1, -3) if rng.random() < 0.5]
    return Batch(batch.image.flip(axes), batch.planted, batch.share.flip(axes)) if axes else batch


def auxiliary_loss(readout: Tensor, batch: Batch) -> Tensor:
    """Which layer each cell of the features lies in, and whether that layer carries the effect.

    readout (2B, 14, fz, fy, fx). It teaches the features what a layer is and what a change in it looks like; the
    readout is not part of the model. Every layer weighs the same, however thin.
    """
    share = batch.share.repeat(2, 1, 1, 1, 1)
    layer, change = readout.chunk(2, dim=1)
    where = -(share * layer.log_softmax(1)).sum(1).mean()
    planted = torch.cat([torch.zeros_like(batch.planted), batch.planted]).float()[:, :, None, None, None]
    every = F.binary_cross_entropy_with_logits(change, planted.expand_as(change), reduction="none")
    change_loss = (share * every).sum((0, 2, 3, 4)) / share.sum((0, 2, 3, 4)).clamp(min=1.0)
    return 0.5 * where + 2.0 * change_loss[1:].mean()


def spill_loss(evidence: Tensor, batch: Batch) -> Tensor:
    """Share of the change of the evidence between twins that lies in cells which the planted layers do not touch.

    evidence (2B, fz, fy, fx): the margin cell by cell. Grad-CAM shows the evidence; this keeps it where its cause is.
    Elsewhere the twins are equal, so any change there comes from the reach of the convs.
    """
    control, case = evidence.chunk(2)
    rows = batch.planted.any(1)
    change = (case - control)[rows].abs()
    touched = (batch.share[rows] * batch.planted[rows].float()[:, :, None, None, None]).sum(1) > 0.0
    total = change.sum((1, 2, 3)).clamp(min=1e-3)  # a net that does not react yet spills nothing
    return ((change * ~touched).sum((1, 2, 3)) / total).sum() / max(int(rows.sum()), 1)


def train_classifier(
    bank: Bank, setup: str, *, steps: int, seed: int, pairs: int = PAIRS, dims: int = 3, progress: Progress = print
) -> Classifier:
    """Train one classifier; the same numbers for the same seed, thread count and torch build."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net, readout = Classifier(len(CHANNELS[setup]), dims=dims), nn.Conv3d(24, 2 * (NUM_LAYERS + 1), 1)
    net.to(memory_format=CHANNELS_LAST[dims])  # type: ignore[call-overload]
    weights = [*net.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    recent: list[tuple[float, float]] = []
    for step in range(1, steps + 1):
        batch = draw_batch(bank, rng, setup, pairs, SLICES[dims])
        features = over_volume(dims, net.features, batch.image.flatten(0, 1))
        logits = net.linear(spatial_mean(features))
        margin = (logits[:, 1] - logits[:, 0]).view(2, -1)
        case = batch.planted.any(1)
        main = F.binary_cross_entropy_with_logits(margin, torch.stack([torch.zeros_like(case), case]).float())
        gap = F.softplus(margin[0] - margin[1])[case].mean() if bool(case.any()) else main
        auxiliary = auxiliary_loss(readout(features), batch)
        evidence = torch.einsum("bfzyx,f->bzyx", features, net.linear.weight[1] - net.linear.weight[0])
        loss = main + 0.5 * gap + AUXILIARY * auxiliary
        if 2 * step > steps:
            loss = loss + SPILL * spill_loss(evidence, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append((main.item(), auxiliary.item()))
        if step % 50 == 0 or step == steps:
            mean = np.mean(recent[-50:], axis=0)
            progress(f"classifier {setup}: step {step} of {steps}, loss {mean[0]:.3f}, auxiliary {mean[1]:.3f}")
    return net.eval()
