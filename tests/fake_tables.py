"""Layer and scan tables of made-up cohorts, straight from chosen numbers: no images, no models."""

from __future__ import annotations

from typing import Any

import numpy as np

from layer_fast.quantify import REGION_ORDER, map_region_rows

Rows = list[dict[str, Any]]
COUNTS = np.array([900, 120, 260, 40, 700, 60, 1600])
THICK_MM = np.array([np.nan, 1.5, 5.0, 0.6, 9.0, 0.8, 20.0])
KEY = {
    "model": "toy", "member": "0", "fill": "cohort_profile", "target": "margin:case-control", "mask": "manual",
    "channel": "",
}  # fmt: skip


def shapley_tables(
    phi: np.ndarray, is_case: np.ndarray, *, setup: str = "bmode", exposure: str = "unseen"
) -> tuple[Rows, Rows]:
    """phi (subjects, scans, 7) -> rows of layers (method layer_shapley) and of scans; margin = sum of phi;
    NaN where a layer is absent."""
    layers: Rows = []
    scans: Rows = []
    for s, block in enumerate(phi):
        subject = f"p{s:03d}"
        label = "case" if is_case[s] else "control"
        for k, values in enumerate(block):
            scan = f"{subject}-{k}"
            scans.append(scan_row(scan, subject, label, {f"margin_{setup}": float(np.nansum(values))}, exposure))
            for region in REGION_ORDER:
                there = [m for m in region.members if np.isfinite(values[m])]
                value = float(sum(values[m] for m in there)) if there else float("nan")
                layers.append(
                    {
                        "scan_id": scan, "subject": subject, "label": label, **KEY, "setup": setup,
                        "margin": float(np.nansum(values)), "method": "layer_shapley",
                        "region": region.name, "region_kind": region.kind,
                        "label_value": region.label_value, "present": bool(there),
                        "n_voxels": int(COUNTS[list(region.members)].sum()), "value": value, "unresolved": False,
                        "exposure": exposure, "flags": "",
                    }
                )
    return layers, scans


def map_tables(means: np.ndarray, is_case: np.ndarray, *, setup: str = "bmode") -> Rows:
    """means (subjects, scans, 7) >= 0: rows of method gradcam for maps that are constant within a layer; margin 0."""
    rows: Rows = []
    for s, block in enumerate(means):
        label = "case" if is_case[s] else "control"
        for k, m in enumerate(block):
            stats = {"sum": m * COUNTS, "sum_sq": m * m * COUNTS, "sum_abs": m * COUNTS, "sum_pos": m * COUNTS}
            made = map_region_rows(COUNTS, **stats, min=m * 0.5, max=m * 1.5, voxel_mm3=0.2, thickness_mm=THICK_MM)
            ids = {"scan_id": f"p{s:03d}-{k}", "subject": f"p{s:03d}", "label": label}
            more = {**KEY, "fill": "", "setup": setup, "method": "gradcam", "exposure": "unseen", "margin": 0.0}
            rows += [{**ids, **more, **row} for row in made]
    return rows


def scan_row(scan: str, subject: str, label: str | None, margins: dict[str, float], exposure: str) -> dict[str, Any]:
    return {
        "scan_id": scan, "subject": subject, "label": label, "label_unit": "subject", "status": "ok", "code": "",
        "step": "", "message": "", "flags": "", "exposure": exposure, "margin_bmode": None, "margin_swe": None,
        "margin_both": None, **margins,
    }


def draw_phi(
    rng: np.random.Generator,
    *,
    subjects: int,
    scans: int = 2,
    effect: dict[int, float] | None = None,
    spread: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """phi (subjects, scans, 7) with subject and scan effects, and the classes; effect: label -> shift of the cases."""
    is_case = np.arange(subjects) % 2 == 0
    level = rng.normal(0, 0.3, 7)
    phi = level + rng.normal(0, spread, (subjects, 1, 7)) + rng.normal(0, 0.3, (subjects, scans, 7))
    for k, size in (effect or {}).items():
        phi[is_case, :, k] += size
    return phi, is_case
