"""The whole training: phantoms -> networks -> packages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...models.fill import mean_profile
from ...types import SETUPS
from .classifier import CHANNELS, Bank, Progress, make_bank, train_classifier
from .data import CLASSIFIER_GRIDS, SEGMENTER_GRIDS, Family, make_families
from .export import to_onnx
from .networks import Classifier, over_volume, spatial_mean
from .packaging import base_manifest, classifier_keys, write_package
from .segmenter import make_pictures, train_segmenter

FIRST_SEED = 77000  # training subjects have the seed FIRST_SEED + seed; held-out ones start at card.FIRST_SEED
BINS = 16
TRAINED: dict[int, tuple[str, ...]] = {3: SETUPS, 2: ("bmode",)}  # setups by spatial dimensions


@dataclass(frozen=True)
class Budget:
    """What is trained, and on how much. subjects: one scan each, with `twins` case twins."""

    spatial_dims: int = 3
    subjects: int = 260
    twins: int = 3
    classifier_steps: int = 800
    swe_steps: int = 300  # shear wave alone has no speckle to average and learns in less than half the time
    segmenter_steps: int = 350
    pairs: int = 16


def families_of(budget: Budget, seed: int, progress: Progress = print) -> list[Family]:
    """Render the training phantoms."""
    families = []
    for family in make_families(
        budget.subjects, twins=budget.twins, seed=FIRST_SEED + seed, grid=CLASSIFIER_GRIDS[budget.spatial_dims]
    ):
        families.append(family)
        if len(families) % 20 == 0 or len(families) == budget.subjects:
            progress(f"phantoms: {len(families)} of {budget.subjects} subjects")
    return families


def profile_of(families: Sequence[Family]) -> NDArray[np.float32]:
    """(2, 7, bins): mean model input of the training subjects, half of it controls and half cases."""
    scans = ((f.subject, image, f.labels) for f in families for image in (f.image, f.twins[0].image))
    return np.round(mean_profile(scans, BINS), 5).astype(np.float32)


def train_all(out: Path, families: Sequence[Family], budget: Budget, seed: int, progress: Progress = print) -> None:
    """Train the models and write their packages into out/segmenter, out/classifier_bmode, ... (no card yet)."""
    write_segmenter(out, families, budget, seed, progress)
    profile = profile_of(families)
    bank = make_bank(families, profile, budget.spatial_dims)
    for setup in TRAINED[budget.spatial_dims]:
        write_classifier(out, setup, families, bank, profile, budget, seed, progress)


def write_segmenter(out: Path, families: Sequence[Family], budget: Budget, seed: int, progress: Progress) -> None:
    """Train and write out/segmenter."""
    dims, grid = budget.spatial_dims, SEGMENTER_GRIDS[budget.spatial_dims]
    images, labels = make_pictures(families, grid)
    net = train_segmenter(images, labels, steps=budget.segmenter_steps, seed=seed, dims=dims, progress=progress)
    manifest = base_manifest("segmenter", "bmode", dims, *_provenance(families, seed))
    write_package(out / "segmenter", to_onnx(net, (1, *grid[-dims:])), manifest)


def write_classifier(
    out: Path,
    setup: str,
    families: Sequence[Family],
    bank: Bank,
    profile: NDArray[np.float32],
    budget: Budget,
    seed: int,
    progress: Progress,
) -> None:
    """Train and write out/classifier_<setup>."""
    steps = min(budget.swe_steps, budget.classifier_steps) if setup == "swe" else budget.classifier_steps
    pairs = min(budget.pairs, len(families))
    dims = budget.spatial_dims
    net = train_classifier(bank, setup, steps=steps, seed=seed, pairs=pairs, dims=dims, progress=progress)
    model = to_onnx(net, (len(CHANNELS[setup]), *CLASSIFIER_GRIDS[dims][-dims:]))
    manifest = base_manifest("classifier", setup, dims, *_provenance(families, seed))
    manifest |= classifier_keys(BINS, dims, _logit_sd(net, bank, setup))
    write_package(out / f"classifier_{setup}", model, manifest, profile[CHANNELS[setup]])


@torch.no_grad()
def _logit_sd(net: Classifier, bank: Bank, setup: str) -> float:
    """SD (ddof 1) of the margin over the training subjects: every control and its first twin."""
    channels, margins = CHANNELS[setup], []
    for image in (*bank.control, *bank.case[:, 0]):
        features = over_volume(net.dims, net.features, image[None, channels])
        logits = net.linear(spatial_mean(features))
        margins.append(float(logits[0, 1] - logits[0, 0]))
    return round(float(np.std(margins, ddof=1)), 6)


def _provenance(families: Sequence[Family], seed: int) -> tuple[list[str], str, str]:
    subjects = [family.subject for family in families]
    salt = hashlib.sha256(f"layer_fast reference models, seed {seed}".encode()).hexdigest()[:32]
    text = (
        f"{len(subjects)} synthetic subjects of layer_fast.phantom (seed {FIRST_SEED + seed}), one scan each, with "
        f"{len(families[0].twins)} case twins that differ by one mean effect in B-mode and one in shear wave."
    )
    return subjects, salt, text
