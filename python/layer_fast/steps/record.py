"""record: what the steps found of one scan -> ScanRecord. No arrays, no times, no paths: only what the tables need."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import GRADIENT_METHODS, RESULT_VERSION, RunConfig
from ..errors import ModelError
from ..io import READING_COLUMNS
from ..models import ModelPackage, Models
from ..models.manifest import Target
from ..models.package import TargetKind
from ..types import SETUPS, Scan, ScanRecord, ScanRef, Status
from .compiled import activation_bytes
from .donors import Donors
from .explain import Explanation
from .guarded import Work


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is fixed for a whole run: it enters every record's key, or is the same for every scan."""

    models: Models
    methods: tuple[str, ...]
    depth_axis: str
    resolution_mm: dict[str, float]
    kind: TargetKind  # what is explained of the positive class
    fixed: dict[str, Any]  # everything but the scan that can move a number; hashed into the key
    donors: Donors | None = None  # of the fill `donor`: the one that a scan gets is in its key

    @classmethod
    def of(
        cls, models: Models, config: RunConfig, engine: dict[str, str | int], donors: Donors | None = None
    ) -> RunFacts:
        fixed = {
            "result_version": RESULT_VERSION,
            "config": config.result_part(),
            "engine": engine,
            "models": [package.sha256 for package in models.packages],
        }
        if any(method in config.methods for method in GRADIENT_METHODS):  # sets the batch size of gradient calls
            fixed["activation_bytes"] = [activation_bytes(p) for ps in models.classifiers.values() for p in ps]
        for chosen in (p.manifest.target for p in models.packages if p.manifest.target is not None):
            target_name(chosen, config.target)  # refuses what has no such number
        axes = {package.manifest.depth_axis for package in models.packages}
        if len(axes) != 1:
            raise ModelError(f"expected one depth axis for all packages, found {sorted(axes)}")
        return cls(models, config.methods, axes.pop(), config.resolution_mm, config.target, fixed, donors)

    def key(self, ref: ScanRef, input_sha256: dict[str, str]) -> str:
        """sha256 over the content of the inputs, what the table says of how to read them, and everything fixed.

        Not in it: subject (but for the choice of a donor, who must be another), label, definitions.
        """
        donor = {}
        if self.donors is not None:
            donor = {"donor": self.donors.sha256[self.donors.choose(ref.subject, input_sha256)]}
        reading = {"swe_unit": ref.swe_unit, **{name: ref.strata.get(name) for name in READING_COLUMNS}}
        text = json.dumps({"inputs": input_sha256, "reading": reading, **donor, **self.fixed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def target(self, package: ModelPackage) -> str:
        """What is explained, as the tables name it: "margin:case-control", "margin:case-rest", "margin:>=mild",
        "probability:case"."""
        return target_name(package.manifest.target, self.kind) if package.manifest.target else ""


def target_name(target: Target, kind: str) -> str:
    """The text of a target. Raises ModelError for the logit of a threshold, which several classes share."""
    if target.at_or_above:
        if kind == "logit":
            raise ModelError(f"target: expected margin or probability, for a level and those above it have no logit of "
                             f"their own (threshold {target.positive!r}), found 'logit'")  # fmt: skip
        return f"{kind}:>={target.positive}"
    if kind != "margin":
        return f"{kind}:{target.positive}"
    return f"margin:{target.positive}-{target.negative or 'rest'}"


def record(work: Work, facts: RunFacts) -> ScanRecord:
    """The record of one scan, failed or not. Status `ok_degraded`: numbers are there but the model was not made
    for such a scan (the flags say why)."""
    hashes = work.scan.input_sha256 if work.scan is not None else {}
    key = facts.key(work.ref, hashes)
    scan = _scan_row(work, facts, hashes)
    if work.failure is not None:
        set_exposure(scan, [], facts.models, work.ref.subject)
        f = work.failure
        return ScanRecord(work.ref.scan_id, key, f.status, f.code, f.step, f.message, tuple(work.flags), scan)
    status: Status = "ok_degraded" if "outside_model_domain" in work.flags else "ok"
    layers = [{**_identity(work.ref), **row} for row in work.layers]
    set_exposure(scan, layers, facts.models, work.ref.subject)
    source = work.mask.source if work.mask is not None else ""
    coalitions = [row for e in work.explanations for row in _coalition_rows(work.ref, e, source)]
    return ScanRecord(
        work.ref.scan_id, key, status, flags=tuple(work.flags), scan=scan, layers=layers, coalitions=coalitions,
        histograms=work.histograms, slices=work.slices,
        guards=[{**_identity(work.ref), **row} for row in work.guards],
    )  # fmt: skip


def set_exposure(scan: dict[str, Any], layers: list[dict[str, Any]], models: Models, subject: str) -> None:
    """Write into each row whether its own model saw the subject in training, into the scan's row the worst of them."""
    shown = {(s, p.manifest.member): p.exposure(subject) for s, members in models.classifiers.items() for p in members}
    for row in layers:
        row["exposure"] = shown[row["setup"], row["member"]]
    found = {row["exposure"] for row in layers}
    worst = next((word for word in ("seen", "unknown", "unseen") if word in found), None)
    scan["exposure"] = worst or models.exposure(subject)


def _identity(ref: ScanRef) -> dict[str, Any]:
    return {"scan_id": ref.scan_id, "subject": ref.subject, "label": ref.label}


def _scan_row(work: Work, facts: RunFacts, hashes: dict[str, str]) -> dict[str, Any]:
    margins: dict[str, list[float]] = {setup: [] for setup in SETUPS}
    for e in work.explanations if work.failure is None else []:
        margins[e.package.manifest.setup].append(float(e.package.target_values(e.logits)))
    row: dict[str, Any] = {
        "exposure": None,
        "mask": work.mask.source if work.mask is not None else None,
        **{f"margin_{setup}": float(np.mean(m)) if m else None for setup, m in margins.items()},
        **{f"sha256_{name}": hashes.get(name) for name in ("bmode", "swe")},
        "sha256_mask": ";".join(f"{k[5:]}={v}" for k, v in sorted(hashes.items()) if k.startswith("mask:")) or None,
    }
    return {**row, **_geometry(work.scan)}


def _geometry(scan: Scan | None) -> dict[str, Any]:
    names = ("z", "y", "x")
    if scan is None:
        empty = dict.fromkeys([f"shape_{n}" for n in names] + [f"spacing_{n}_mm" for n in names])
        return {**empty, "swe_valid_fraction": None}
    grid = scan.grid
    swe = scan.volumes.get("swe")
    valid = None if swe is None else float(np.isfinite(swe.array).mean())
    return {
        **{f"shape_{n}": int(size) for n, size in zip(names, grid.array.shape, strict=True)},
        **{f"spacing_{n}_mm": float(mm) for n, mm in zip(names, grid.spacing_mm, strict=True)},
        "swe_valid_fraction": valid,
    }


def _coalition_rows(ref: ScanRef, e: Explanation, mask: str) -> list[dict[str, Any]]:
    manifest = e.package.manifest
    common = {
        **_identity(ref), "model": manifest.name, "member": manifest.member, "setup": manifest.setup, "mask": mask,
    }  # fmt: skip
    return [
        {**common, "fill": fill, "output": f"logit:{name}", "values": logits[:, i].astype(float).tolist()}
        for fill, logits in e.coalition_logits.items()
        for i, name in enumerate(manifest.classes or ())
    ]
