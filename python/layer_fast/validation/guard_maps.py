"""Made-up masks and maps with a known truth, for the guards that read volumes. Every case is one draw of one seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..guards import NullResult, depth_nulls, in_less_out, leakage
from ..quantify import guard_summary
from ..types import NUM_LAYERS, REGIONS

Labels = NDArray[np.uint8]
Map = NDArray[np.float32]
SHAPE = (8, 96, 32)
GRIDS = ((2, 24, 8), (4, 12, 8), (2, 6, 4))
WRONG, RIGHT = 0.5, 0.1  # of what the responding layer shows: read in a layer in which nothing responds


def draw_mask(rng: np.random.Generator) -> Labels:
    """(8, 96, 32): coupling layer, six layers with the phantom's proportions, undulating borders."""
    mean = np.array([6.0, 6.0, 16.0, 3.0, 20.0, 4.0])
    thick = np.maximum(1.0, mean * np.exp(rng.normal(0.0, 0.3, 6)))
    borders = np.cumsum(thick)
    wave = 1.5 * np.sin(2 * np.pi * (np.arange(SHAPE[2]) / SHAPE[2] + rng.random()))
    edges = borders[:, None, None] + wave[None, None, :] + rng.normal(0.0, 0.3, (1, SHAPE[0], 1))
    depth = np.arange(SHAPE[1]) + 0.5
    return np.asarray((depth[None, :, None, None] > edges[:, None]).sum(axis=0).transpose(1, 0, 2), np.uint8)


def coarse(field: NDArray[np.float64], grid: tuple[int, int, int]) -> Map:
    """Block means on a grid that divides the field's."""
    split = [part for n, m in zip(field.shape, grid, strict=True) for part in (m, n // m)]
    return np.asarray(field.reshape(split).mean(axis=(1, 3, 5)), np.float32)


def speckled(where: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """A response of exponential strength wherever `where`, nothing elsewhere."""
    return np.where(where, rng.exponential(1.0, where.shape), 0.0)


def leakage_case(seed: int) -> tuple[str, bool] | None:
    """One layer responds, another is read. ("planted", fired) where the other one reads more than `WRONG` of it,
    ("sound", fired) where it reads less than `RIGHT` whichever layer responds; else, and for absent layers, None."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    labels, grid = draw_mask(rng), GRIDS[seed % len(GRIDS)]
    k = int(rng.integers(1, NUM_LAYERS + 1))
    read = []
    for j in range(NUM_LAYERS + 1):
        if j != k and (labels == j).any() and (labels == k).any():
            full = ops.resample(coarse(speckled(labels == j, rng), grid), SHAPE)
            read.append(float(full[labels == k].mean() / full[labels == j].mean()))
    if not read or RIGHT <= max(read) <= WRONG:
        return None
    fired = "leaky" in leakage(labels, grid).flags(np.ones(grid, np.float32))[k]
    return ("planted" if max(read) > WRONG else "sound"), fired


def border_case(planted: bool, seed: int) -> bool | None:
    """Whether the layer's number is called its border's: a neighbour responds (planted), or the layer itself and noise
    everywhere. None where the layer has no cell of its own, for then there is no core to compare with."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2])))
    labels, grid = draw_mask(rng), GRIDS[seed % 2]
    k = int(rng.choice([2, 4, 6]))
    found = leakage(labels, grid)
    if not found.core[k].any():
        return None
    j = k - 1
    noise = 0.1 * rng.exponential(1.0, labels.shape)
    values = coarse(speckled(labels == (j if planted else k), rng) + (0.0 if planted else noise), grid)
    return "border_driven" in found.flags(values)[k]


def null_case(planted: bool, seed: int) -> bool:
    """Whether a layer is called like elsewhere: the map is smooth noise (planted), or the layer's response in noise."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 3])))
    labels, grid = draw_mask(rng), GRIDS[0]
    k = int(rng.choice([2, 4, 6]))
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=grid), (0.5, 1.5, 1.0), mode="wrap")
    values = noise / noise.std()
    if not planted:
        values = values + 3.0 * coarse((labels == k).astype(np.float64), grid)
    return bool(depth_nulls(np.asarray(values, np.float32), labels).p[k] > 0.05)


def other_masks_fires(planted: bool, seed: int) -> bool:
    """Whether maps of 20 subjects are said to follow other people's layers as well as their own, by rows as of a run.
    Each map, in noise, is the response of one more person's layer (planted), or of the subject's own."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 4])))
    k = int(rng.choice([2, 4, 6]))
    masks = [draw_mask(rng) for _ in range(20)]
    cell = dict.fromkeys(("setup", "model", "member", "method", "channel", "fill", "target", "mask"), "made")
    rows = []
    for i, own in enumerate(masks):
        values = _answer(draw_mask(rng) if planted else own, k, rng)
        means = [in_less_out(values[None], one)[0] for one in (own, *masks[:i], *masks[i + 1 :])]
        drawn = NullResult(means[0], np.array(means[1:]))
        rows += [
            {**cell, "variant": "null:other_masks", "region": name, "null_p": drawn.p[label], "null_n": len(drawn.null),
             "leakage_in": None, "border_share": None, "flags": ""}
            for label, name in enumerate(REGIONS)
        ]  # fmt: skip
    claims = {"cells": [{**cell, "claim": {"gates": []}, "n_scans": len(masks), "flags": {}, "regions": []}]}
    found = guard_summary(claims, rows)["guards"]
    return next(entry["fired"] for entry in found if entry["name"] == "null_other_masks") is True


def _answer(labels: Labels, k: int, rng: np.random.Generator) -> Map:
    """A coarse map that answers to label k, three times as strongly as smooth noise of SD 1."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=GRIDS[0]), (0.5, 1.5, 1.0), mode="wrap")
    return np.asarray(noise / noise.std() + 3.0 * coarse((labels == k).astype(np.float64), GRIDS[0]), np.float32)
