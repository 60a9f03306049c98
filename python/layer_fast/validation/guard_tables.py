"""Cohorts made of numbers, for guards that read tables: is a confounder called one, is a real effect let through?

A subject has a class, six layer thicknesses, a body mass index, a centre and a share of shear-wave holes. One quantity
differs between the classes by `effect` standard deviations; the Shapley value of one layer follows that quantity, and
so does the model's margin. In a planted failure it is a confounder, in a success the layer's own content.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import quantify

Float = NDArray[np.float64]
Rows = list[dict[str, Any]]
LAYER = {"thickness": 4, "mask_extent": 6, "swe_holes": 6, "bmi": 2, "centre": 4, "content": 4, "content_thin": 5}
CONFOUNDED = ("thickness", "mask_extent", "swe_holes", "bmi", "centre")
GENUINE = ("content", "content_thin")
_MM = np.array([0.0, 1.8, 6.0, 0.7, 8.0, 0.9, 20.0])  # usual thickness by label; 0: background


def cohort(kind: str, subjects: int, effect: float, seed: int) -> tuple[Rows, Rows]:
    """Rows of layers.parquet (layer_shapley) and scans.parquet, one scan a subject. kind: what differs between the
    classes, a key of `LAYER`; "content_thin" besides has BMI 0.3 SD apart, which the model does not use."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, subjects, list(LAYER).index(kind)])))
    is_case = np.arange(subjects) % 2 == 0
    z = rng.normal(size=(subjects, 12))
    z[:, 0] += effect * is_case
    use = {"thickness": LAYER["thickness"], "mask_extent": 7, "swe_holes": 8, "bmi": 9, "centre": 10}
    if kind == "centre":  # what the model reads is the centre itself
        z[:, 0] = np.where(z[:, 0] > effect / 2, effect, 0.0)
    if kind in use:
        z[:, use[kind]] = z[:, 0]
    if kind == "content_thin":
        z[:, 9] += 0.3 * is_case
    phi = rng.normal(0.0, 0.2, (subjects, 7))
    phi[:, LAYER[kind]] += z[:, 0] - effect / 2
    layers = [row for s in range(subjects) for row in _layer_rows(s, bool(is_case[s]), phi[s], z[s])]
    scans = [_scan_row(s, bool(is_case[s]), z[s]) for s in range(subjects)]
    return layers, scans


def _scan_row(s: int, case: bool, z: Float) -> dict[str, Any]:
    return {
        "scan_id": f"s{s:04d}", "subject": f"p{s:04d}", "label": "case" if case else "control", "status": "ok",
        "age": f"{45 + 12 * z[11]:.1f}", "bmi": f"{26 + 4 * z[9]:.2f}", "sex": "fm"[s // 2 % 2],
        "centre": "north" if z[10] > 0.0 else "south", "swe_valid_fraction": float(1.0 / (1.0 + np.exp(-2.0 - z[8]))),
    }  # fmt: skip


def _layer_rows(s: int, case: bool, phi: Float, z: Float) -> Rows:
    mm = _MM * np.exp(0.2 * z[:7])
    volume = mm * 900.0 * np.exp(0.1 * z[7])
    common = {
        "scan_id": f"s{s:04d}", "subject": f"p{s:04d}", "setup": "bmode", "method": "layer_shapley", "model": "made",
        "member": "0", "fill": "cohort_profile", "target": "margin:case-control", "mask": "manual", "channel": "",
        "margin": float(phi.sum()), "exposure": "unseen", "flags": "", "unresolved": False, "present": True,
    }  # fmt: skip
    return [
        {
            **common, "region": region.name, "region_kind": region.kind, "label_value": region.label_value,
            "n_voxels": int(1 + volume[list(region.members)].sum()), "value": float(phi[list(region.members)].sum()),
            "thickness_mm": float(mm[region.members[0]]) if region.kind == "layer" else None,
            "volume_mm3": float(volume[list(region.members)].sum()),
        }
        for region in quantify.REGION_ORDER
    ]  # fmt: skip


def geometry_fires(kind: str, subjects: int, effect: float, seed: int) -> bool:
    """Whether the gate stops a claim on one cohort of `kind`."""
    return _gate(kind, subjects, effect, seed)["passed"] is False


def _gate(kind: str, subjects: int, effect: float, seed: int) -> dict[str, Any]:
    out = quantify.summary(*cohort(kind, subjects, effect, seed), replicates=99)
    return next(g for g in out["answers"][0]["gates"] if g["name"] == "geometry_and_confounders")
