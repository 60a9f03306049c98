"""A linear reader of fixed voxels, and masks drawn over it: does the gate of perturbed masks know a border effect?

The model's margin is the mean intensity over the voxels it reads. For a linear reader every layer's Shapley value under
a fill of 0 is its share of that mean, so values under any mask are exact and cheap. In a success it reads the middle of
the layer or all of it, also where the layer is two to three voxels thick. In a planted failure it reads one row of
voxels at the layer's lower or upper border, or both, which a mask drawn a little differently gives to the neighbours:
the run's mask alone decides which layer is named.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import quantify
from ..guards import PERTURBATIONS, perturbed
from ..types import REGIONS

Labels = NDArray[np.uint8]
Rows = list[dict[str, Any]]
DEPTH, WIDTH = 64, 12
_THICK = np.array([4, 4, 10, 3, 12, 4])  # of background to deep fascial membrane, in voxels; muscle has the rest
_FASCIAE = (3, 5)


class Reader(NamedTuple):
    """rows: which voxels of its layer it reads in each column. least: the thinnest layer in voxels; with 2 the two
    fasciae have two or three, drawn for each column. layers: label values that are its layer in turn."""

    planted: bool
    rows: str
    least: int
    layers: tuple[int, ...]


READERS = {
    "middle": Reader(False, "middle", 3, (1, 2, 3, 4, 5)),
    "every voxel": Reader(False, "every", 3, (1, 3, 5)),
    "every voxel of 2 to 3": Reader(False, "every", 2, _FASCIAE),
    "last row": Reader(True, "last", 3, (1, 2, 3, 4, 5)),
    "first row": Reader(True, "first", 3, (1, 3, 5)),
    "first and last row": Reader(True, "ends", 4, (3, 4, 5)),
    "last row of 2 to 3": Reader(True, "last", 2, _FASCIAE),
    "first row of 2 to 3": Reader(True, "first", 2, _FASCIAE),
}
_KEY = {
    "model": "reader", "member": "0", "setup": "bmode", "method": "layer_shapley", "fill": "zero",
    "target": "margin:case-control", "mask": "manual", "channel": "",
}  # fmt: skip


def mask_fires(name: str, layer: int, subjects: int, seed: int) -> bool:
    """Whether the gate stops the claim in one cohort whose model is the reader `name` of `layer` (1..5; 6 has no next
    layer)."""
    layers, scans, guards = cohort(name, layer, subjects, seed)
    out = quantify.summary(layers, scans, replicates=99, guards=guards)
    gate = next(g for g in out["answers"][0]["gates"] if g["name"] == "mask_sensitivity")
    return gate["passed"] is False


def cohort(name: str, layer: int, subjects: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Rows of layers, scans and guards."""
    reader = READERS[name]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, layer, list(READERS).index(name)])))
    layers: Rows = []
    scans: Rows = []
    guards: Rows = []
    for s in range(subjects):
        case = s % 2 == 0
        labels = _mask(rng, reader.least)
        read = _rows_of(labels, layer, reader.rows)
        image = rng.normal(0.0, 1.0, labels.shape) + rng.normal(0.0, 0.5) + (1.5 if case else 0.0) * read
        phi = _values(image, read, labels)
        ids = {"scan_id": f"s{s:03d}", "subject": f"p{s:03d}", "label": "case" if case else "control"}
        scans.append({**ids, "status": "ok"})
        common = {**ids, **_KEY, "margin": float(phi.sum()), "exposure": "unseen", "flags": ""}
        layers += _layer_rows(common, labels, phi)
        for how in PERTURBATIONS:
            values = _values(image, read, perturbed(labels, how))
            guards += [{**ids, **_KEY, "variant": f"mask:{how}", "label_value": k, "value": float(values[k])}
                       for k in range(len(REGIONS))]  # fmt: skip
    return layers, scans, guards


def _mask(rng: np.random.Generator, least: int) -> Labels:
    """(1, 64, 12): a coupling layer, six layers of at least `least` voxels, borders that differ from column to
    column."""
    usual = np.round(_THICK * np.exp(rng.normal(0.0, 0.2, 6)))
    thick = np.repeat(np.maximum(max(least, 3), usual).astype(int)[:, None], WIDTH, axis=1)
    if least == 2:
        thick[list(_FASCIAE)] = rng.integers(2, 4, (len(_FASCIAE), WIDTH))
    edges = np.cumsum(thick, axis=0) + rng.integers(0, 2, (1, WIDTH))
    return np.asarray((np.arange(DEPTH)[:, None, None] >= edges[None]).sum(axis=1), np.uint8)[None]


def _rows_of(labels: Labels, layer: int, rows: str) -> NDArray[np.bool_]:
    """The voxels of the layer that are read in each column: the middle one (two where their number is even), every
    one, the last, the first, or the first and the last."""
    own = labels[0] == layer
    rank, count = np.cumsum(own, axis=0), own.sum(axis=0)
    chosen = {
        "middle": np.abs(2 * rank - 1 - count) <= 1, "every": rank > 0, "last": rank == count, "first": rank == 1,
        "ends": (rank == 1) | (rank == count),
    }[rows]  # fmt: skip
    return np.asarray((own & chosen)[None])


def _values(image: NDArray[np.float64], read: NDArray[np.bool_], labels: Labels) -> NDArray[np.float64]:
    """(7,) part of each label in the mean over the voxels read; NaN for an absent one."""
    parts = np.array([(image * (read & (labels == k))).sum() for k in range(len(REGIONS))]) / read.sum()
    there = np.bincount(labels.ravel(), minlength=len(REGIONS)) > 0
    return np.asarray(np.where(there, parts, np.nan))


def _layer_rows(common: dict[str, Any], labels: Labels, phi: NDArray[np.float64]) -> Rows:
    n = np.bincount(labels.ravel(), minlength=len(REGIONS))
    return [
        {
            **common, "region": region.name, "region_kind": region.kind, "label_value": region.label_value,
            "present": bool(n[list(region.members)].sum()), "n_voxels": int(n[list(region.members)].sum()),
            "value": float(np.nansum(phi[list(region.members)])), "unresolved": False,
        }
        for region in quantify.REGION_ORDER
    ]  # fmt: skip
