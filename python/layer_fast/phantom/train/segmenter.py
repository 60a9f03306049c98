"""Training of the segmenter on crops; the loss is taken on the scan's own grid, as the pipeline takes its labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...types import NUM_LAYERS
from .classifier import Progress
from .data import Family, Grid, model_image
from .networks import CHANNELS_LAST, Segmenter, over_volume

CROPS = {3: 4, 2: 12}  # a step, by spatial dimensions
CROP_ZX = {3: (6, 32), 2: (2, 32)}  # voxels of the model's grid; depth is whole, for it tells the layers apart
LEARNING_RATE = 6e-3
GAIN_SD = 0.03  # brightness jitter, in model-input units
CLASS_WEIGHTS = (1.0, 1.0, 1.0, 2.5, 1.0, 2.0, 1.0)


def make_pictures(families: Sequence[Family], grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Model inputs (M, z, y, x) and labels (M, Z, Y, X) on the scan's grid: every control and its first twin."""
    images, labels = [], []
    for family in families:
        for picture in (family.bmode, *(twin.bmode for twin in family.twins[:1])):
            images.append(model_image(picture, "bmode", grid))
            labels.append(family.raw_labels)
    return np.stack(images), np.stack(labels)


def draw_crops(
    images: NDArray[np.float32],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
    crops: int,
    size: tuple[int, int] = CROP_ZX[3],
) -> tuple[Tensor, Tensor]:
    """Random crops (B, 1, z, y, x) with flips and brightness jitter, and their labels on the finer grid."""
    ratio = tuple(a // b for a, b in zip(labels.shape[1:], images.shape[1:], strict=True))
    pictures, truths = [], []
    for k in rng.choice(len(images), crops, replace=False):
        z = 2 * int(rng.integers(0, (images.shape[1] - size[0]) // 2 + 1))
        x = 8 * int(rng.integers(0, (images.shape[3] - size[1]) // 8 + 1))
        z_stop, x_stop = z + size[0], x + size[1]
        flips = tuple(slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in range(2))
        picture = images[k, z:z_stop, :, x:x_stop] + np.float32(rng.normal(0.0, GAIN_SD))
        truth = labels[k, z * ratio[0] : z_stop * ratio[0], :, x * ratio[2] : x_stop * ratio[2]]
        pictures.append(np.clip(picture, 0.0, 1.0)[flips[0], :, flips[1]])
        truths.append(truth[flips[0], :, flips[1]])
    return torch.from_numpy(np.stack(pictures)[:, None]), torch.from_numpy(np.stack(truths)).long()


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice, mean over classes, pooled over the batch."""
    chance = logits.softmax(1)
    truth = F.one_hot(labels, NUM_LAYERS + 1).movedim(-1, 1).float()
    axes = (0, 2, 3, 4)
    return (1.0 - (2.0 * (chance * truth).sum(axes) + 1.0) / (chance.sum(axes) + truth.sum(axes) + 1.0)).mean()


def train_segmenter(
    images: NDArray[np.float32],
    labels: NDArray[np.uint8],
    *,
    steps: int,
    seed: int,
    dims: int = 3,
    progress: Progress = print,
) -> Segmenter:
    """Train the segmenter; the same numbers for the same seed, thread count and torch build."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Segmenter(dims=dims)
    net.to(memory_format=CHANNELS_LAST[dims])  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.2)
    weight = torch.tensor(CLASS_WEIGHTS)
    recent: list[float] = []
    for step in range(1, steps + 1):
        picture, truth = draw_crops(images, labels, rng, min(CROPS[dims], len(images)), CROP_ZX[dims])
        logits = over_volume(dims, net, picture)
        logits = F.interpolate(logits, size=truth.shape[1:], mode="trilinear", align_corners=False)
        loss = F.cross_entropy(logits, truth, weight) + dice_loss(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if step % 50 == 0 or step == steps:
            progress(f"segmenter: step {step} of {steps}, loss {np.mean(recent[-50:]):.3f}")
    return net.eval()
