"""Scans of other people whose layers stand in for removed ones (fill `donor`), read once at the start of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..config import VALUE_METHODS, RunConfig
from ..errors import ConfigError, LayerFastError
from ..io import load_table
from ..models import ModelPackage
from ..types import REGIONS, ScanRef
from .coalitions import model_labels
from .lane import Lane
from .prepare import Donor, Shared, prepare
from .read import read
from .segment import given_masks

MAX_BYTES = 4 << 30  # of all donors together, on the grids of the classifiers


@dataclass(slots=True)
class Donors:
    """subjects and sha256 (of all files of a donor, by name): one per donor, ordered by sha256, so that the order of
    the table decides nothing. inputs: sha256 of a package -> its donors, prepared."""

    scan_ids: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)
    inputs: dict[str, list[Donor]] = field(default_factory=dict)

    def choose(self, subject: str, input_sha256: dict[str, str]) -> int:
        """The donor of a scan: of those of other subjects one drawn by the scan's own content, so the same in every
        run. Whole numbers of a hash modulo the count: biased by less than 2**-240."""
        others = [i for i, name in enumerate(self.subjects) if name != subject]
        drawn = int.from_bytes(hashlib.sha256(json.dumps(input_sha256, sort_keys=True).encode()).digest(), "big")
        return others[drawn % len(others)]

    def facts(self) -> list[dict[str, str]]:
        """Who they are, for run.json."""
        rows = zip(self.scan_ids, self.subjects, self.sha256, strict=True)
        return [{"scan_id": scan, "subject": subject, "sha256": sha} for scan, subject, sha in rows]


def load_donors(config: RunConfig, packages: list[ModelPackage], lane: Lane) -> Donors | None:
    """Read and prepare every donor for every classifier; None for a run that uses none.

    Each donor must be readable, have a mask, all modalities the classifiers see, and on each classifier's grid every
    region, so that any layer of any scan finds its like; two subjects at least, so that every scan finds another's; no
    more than MAX_BYTES hold. Raises ConfigError that names the donor.
    """
    if "donor" not in config.fills or not any(method in config.methods for method in VALUE_METHODS):
        return None
    if config.donors is None:
        raise ConfigError("fills: donor takes layers from other scans; option donors: expected a cohort table of them "
                          "with masks, got none")  # fmt: skip
    refs = load_table(config.donors)
    if len({ref.subject for ref in refs}) < 2:
        raise ConfigError(f"{config.donors}: expected donors of two subjects or more, found {refs[0].subject!r} only")
    found = sorted(_all(refs, config, packages, lane), key=lambda one: one[0])
    donors = Donors(inputs={package.sha256: [] for package in packages})
    for sha, ref, inputs in found:
        donors.scan_ids.append(ref.scan_id)
        donors.subjects.append(ref.subject)
        donors.sha256.append(sha)
        for package, one in zip(packages, inputs, strict=True):
            donors.inputs[package.sha256].append(one)
    return donors


def _all(
    refs: list[ScanRef], config: RunConfig, packages: list[ModelPackage], lane: Lane
) -> Iterator[tuple[str, ScanRef, list[Donor]]]:
    """Each donor in turn. All of them stay in memory, so a table of too many is refused after the first."""
    for k, ref in enumerate(refs):
        one = _one(ref, config, packages, lane)
        held = sum(donor.image.nbytes + donor.labels.nbytes for donor in one[2]) * len(refs)
        if k == 0 and held > MAX_BYTES:
            most = len(refs) * MAX_BYTES // held
            raise ConfigError(f"{config.donors}: expected at most {most} donors, for what the classifiers see of each "
                              f"stays in memory ({MAX_BYTES >> 30} GiB), found {len(refs)}")  # fmt: skip
        yield one


def _one(
    ref: ScanRef, config: RunConfig, packages: list[ModelPackage], lane: Lane
) -> tuple[str, ScanRef, list[Donor]]:
    own_mask = config.model_copy(update={"mask": "given"})  # whatever the run takes for its scans
    try:
        (scan,) = read([ref], lane, own_mask)
        (mask,) = given_masks([scan], lane)
        sha = hashlib.sha256(json.dumps(scan.input_sha256, sort_keys=True).encode()).hexdigest()
        shared, inputs = Shared(), []
        for package in packages:
            (made,) = prepare([(scan, shared)], lane, package, config.fov_tolerance)
            labels = model_labels(mask, made.image.shape[1:], lane)
            lacks = [name for k, name in enumerate(REGIONS) if not (labels == k).any()]
            if lacks:
                raise ConfigError(f"expected every region on the grid of {package.label}, lacks {', '.join(lacks)}")
            inputs.append(Donor(np.ascontiguousarray(made.image), labels, sha))
    except LayerFastError as error:
        raise ConfigError(f"{config.donors}: donor {ref.scan_id!r}: {error}") from error
    return sha, ref, inputs
