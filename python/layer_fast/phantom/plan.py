"""Plan a cohort: subjects, labels and scans, without a voxel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from layer_fast.errors import ConfigError
from layer_fast.phantom.anatomy import draw_subject
from layer_fast.phantom.effects import Effect, changes
from layer_fast.phantom.spec import (
    DEFAULT_SHAPE,
    DEFAULT_SPACING_MM,
    SIDES,
    SITES,
    SWE_KERNEL_FWHM_MM,
    ScanSpec,
    Stream,
    Subject,
    generator,
)
from layer_fast.types import NUM_LAYERS

SCAN_ECHO_SD_DB = 0.4
SCAN_GAIN_SD_DB = 0.5
MIN_DEPTH_MM = 32.0
MIN_MUSCLE_MM = 3.0
_MAX_SPACING_MM = (6.0, 1.0, 6.0)


def _check(subjects: int, scans_per_subject: int, seed: int, grid: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    for name, value, low in (("subjects", subjects, 1), ("scans_per_subject", scans_per_subject, 1), ("seed", seed, 0)):
        if value < low:
            raise ConfigError(f"[plan_cohort] {name}: expected at least {low}, got {value}")
    if len(grid) != 3 or min(grid) < 4:
        raise ConfigError(f"[plan_cohort] shape: expected (z, y, x), each at least 4, got {grid}")
    if len(spacing) != 3 or not all(0.0 < s <= most for s, most in zip(spacing, _MAX_SPACING_MM, strict=True)):
        raise ConfigError(
            f"[plan_cohort] spacing_mm: expected three lengths above 0 and up to {_MAX_SPACING_MM}, got {spacing}"
        )
    if grid[1] * spacing[1] < MIN_DEPTH_MM:
        raise ConfigError(
            f"[plan_cohort] shape: the picture must be at least {MIN_DEPTH_MM:g} mm deep to hold six layers, "
            f"got {grid[1]} x {spacing[1]:g} mm"
        )


def _check_room(spec: ScanSpec) -> None:
    """Refuse a thickness effect that pushes the muscle out of the picture."""
    factor = changes(spec.effects, spec.is_case).thickness
    above = sum(mm * float(factor[k]) for k, mm in enumerate(spec.subject.thickness_mm))
    depth = spec.shape[1] * spec.spacing_mm[1]
    if above + MIN_MUSCLE_MM > depth:
        raise ConfigError(
            f"[plan_cohort] effects: the thickness effect leaves less than {MIN_MUSCLE_MM:g} mm of muscle in scan "
            f"{spec.scan_id} ({above:.1f} mm above it, the picture is {depth:g} mm deep)"
        )


def case_labels(seed: int, subjects: int, case_fraction: float) -> list[bool]:
    """Return who is a case: exactly round(subjects x case_fraction) subjects, in random order."""
    if not 0.0 <= case_fraction <= 1.0:
        raise ConfigError(f"[plan_cohort] case_fraction: expected 0 to 1, got {case_fraction}")
    order = generator(seed, 0, 0, Stream.LABEL).permutation(subjects)
    cases = set(order[: math.floor(subjects * case_fraction + 0.5)].tolist())
    return [i in cases for i in range(subjects)]


def _scan(subject: Subject, scan: int, common: dict[str, Any]) -> ScanSpec:
    rng = generator(subject.seed, subject.index, scan, Stream.SCAN)
    gain = SCAN_GAIN_SD_DB * float(rng.standard_normal())
    echo = SCAN_ECHO_SD_DB * rng.standard_normal(NUM_LAYERS + 1)
    pressure = float(rng.uniform(0.86, 1.04))
    return ScanSpec(
        subject=subject,
        scan=scan,
        side=SIDES[scan % len(SIDES)],
        site=SITES[scan // len(SIDES) % len(SITES)],
        repeat=scan // (len(SIDES) * len(SITES)) + 1,
        gain_db=gain,
        echo_db=tuple(float(v) for v in echo),
        pressure=pressure,
        **common,
    )


def plan_cohort(
    *,
    subjects: int = 24,
    scans_per_subject: int = 2,
    effects: Iterable[Effect] | None = (),
    seed: int = 0,
    case_fraction: float = 0.5,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing_mm: tuple[float, float, float] = DEFAULT_SPACING_MM,
    swe_kernel_fwhm_mm: float = SWE_KERNEL_FWHM_MM,
) -> list[ScanSpec]:
    """Return the scans of a cohort in order of subject, then scan; cheap, deterministic, no voxels.

    effects: what differs in cases (none: a null cohort, whose labels are still drawn). shape and spacing_mm are
    (z, y, x). swe_kernel_fwhm_mm: 1 to 3. Raises ConfigError naming the argument at fault.
    """
    grid, spacing = tuple(int(n) for n in shape), tuple(float(s) for s in spacing_mm)
    _check(subjects, scans_per_subject, seed, grid, spacing)
    if not 1.0 <= swe_kernel_fwhm_mm <= 3.0:
        raise ConfigError(f"[plan_cohort] swe_kernel_fwhm_mm: expected 1 to 3, got {swe_kernel_fwhm_mm}")
    common = {
        "effects": tuple(effects or ()),
        "shape": grid,
        "spacing_mm": spacing,
        "swe_kernel_fwhm_mm": float(swe_kernel_fwhm_mm),
    }
    people = [draw_subject(seed, i, is_case=c) for i, c in enumerate(case_labels(seed, subjects, case_fraction))]
    specs = [_scan(person, scan, common) for person in people for scan in range(scans_per_subject)]
    for spec in specs:
        _check_room(spec)
    return specs
