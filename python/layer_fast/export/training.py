"""What evidence methods need from the training scans, made by the library's own steps, one scan in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import make_config, thread_budget
from ..engines import choose_engine
from ..errors import ConfigError, ReadError, StepFailure
from ..io import load_table
from ..models import ModelPackage, mean_profile, new_salt, subject_hash
from ..steps.compiled import Graphs
from ..steps.lane import Lane
from ..steps.prepare import Shared, prepare
from ..steps.read import read
from ..steps.segment import given_masks
from ..types import REGIONS, ScanRef

Say = Callable[[str], None]
Tick = Callable[[int, int], None]
DIGITS = 5  # of a fill profile, in model-input units [0, 1]
SHOWN = 10


@dataclass(frozen=True)
class Training:
    """profile: content of fill_profile.json; logit_sd: SD (ddof 1) of the target margin over the scans; both None for a
    segmenter. subjects: {"salt", "hashes"} of every subject of the table, of skipped scans too."""

    profile: dict[str, Any] | None
    logit_sd: float | None
    subjects: dict[str, Any]


@dataclass
class _Seen:
    """What streaming over the scans leaves behind."""

    margins: list[float] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)


def training_facts(
    package: ModelPackage, table: str | Path, bins: int, *, skip_bad: bool, say: Say, tick: Tick | None = None
) -> Training:
    """Read, prepare and classify every scan of the table of training scans, with the masks that the table names.

    Raises TableError; ConfigError that names every bad scan (unless skip_bad), or says what the scans lack.
    """
    refs = load_table(table)
    salt = new_salt()
    subjects = {"salt": salt, "hashes": sorted(subject_hash(salt, s) for s in {ref.subject for ref in refs})}
    say(f"cohort: {len(refs)} training scans of {len(subjects['hashes'])} subjects")
    if package.manifest.role == "segmenter":
        return Training(None, None, subjects)
    without = [ref.scan_id for ref in refs if not ref.masks]
    if len(without) == len(refs):
        raise ConfigError(f"{table}: expected a column mask (the layers of each training scan, from which the fill "
                          f"profile is made), found no mask for any scan")  # fmt: skip
    seen = _Seen()
    profile = _profile(_scans(package, refs, seen, tick), package, bins, seen, skip_bad=skip_bad)
    _report(seen, len(refs), say)
    return Training({"bins": bins, "values": np.round(profile, DIGITS).tolist()}, _spread(seen.margins), subjects)


def _scans(
    package: ModelPackage, refs: list[ScanRef], seen: _Seen, tick: Tick | None
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.uint8]]]:
    config = make_config()
    lane = Lane(choose_engine("onnxruntime"), config, thread_budget(), Graphs(config.target))
    manifest = package.manifest
    for done, ref in enumerate(refs, 1):
        try:
            (scan,) = read([ref], lane, config)
            (mask,) = given_masks([scan], lane)
            (made,) = prepare([(scan, Shared())], lane, package, config.fov_tolerance)
            (logits,) = lane.forward(package).run({manifest.input: made.image[None]}, (manifest.output,))
            (margin,) = package.target_values(logits, "margin")
            if not np.isfinite(margin):
                raise StepFailure("classifier_nonfinite", "the classifier gave NaN or Inf", input_at_fault=False)
        except (StepFailure, ReadError) as error:
            seen.bad.append(f"{ref.scan_id}: {error}")
            continue
        finally:
            if tick is not None:
                tick(done, len(refs))
        if "outside_model_domain" in made.flags:
            seen.outside.append(f"{ref.scan_id} ({', '.join(f for f in made.flags if f != 'outside_model_domain')})")
        seen.margins.append(float(margin))
        shape = made.image.shape[1:]
        yield ref.subject, made.image, ops.resample_labels(mask.labels, shape, mode="nearest", threads=lane.op_threads)


def _profile(
    scans: Iterator[tuple[str, NDArray[np.float32], NDArray[np.uint8]]],
    package: ModelPackage, bins: int, seen: _Seen, *, skip_bad: bool,
) -> NDArray[np.float64]:  # fmt: skip
    layers = len(REGIONS) - 1
    try:
        profile = mean_profile(scans, bins, depth_axis=package.manifest.depth_axis, num_layers=layers)
    except ValueError as error:
        _refuse_bad(seen, skip_bad=skip_bad)
        raise ConfigError(f"cohort: the fill profile cannot be made: {error}; labels are {dict(enumerate(REGIONS))}") \
            from error  # fmt: skip
    _refuse_bad(seen, skip_bad=skip_bad)
    return np.clip(profile, 0.0, 1.0)  # a mean of values in [0, 1] may leave it by rounding


def _refuse_bad(seen: _Seen, *, skip_bad: bool) -> None:
    if seen.bad and (not skip_bad or not seen.margins):
        more = f"\n  ... and {len(seen.bad) - SHOWN} more" if len(seen.bad) > SHOWN else ""
        shown = "\n  ".join(seen.bad[:SHOWN])
        raise ConfigError(f"cohort: {len(seen.bad)} bad training scan(s); mend the table, or leave them out with "
                          f"--skip-bad:\n  {shown}{more}")  # fmt: skip


def _report(seen: _Seen, count: int, say: Say) -> None:
    if seen.bad:
        say(f"cohort: left out {len(seen.bad)} of {count} scans: " + "; ".join(seen.bad[:SHOWN]))
    if seen.outside:
        say(f"cohort: {len(seen.outside)} of {count} training scans are not what the fields state (field of view or "
            f"intensity window); check fov_mm, spacing_mm and window: {', '.join(seen.outside[:3])}")  # fmt: skip


def _spread(margins: list[float]) -> float:
    spread = float(np.std(margins, ddof=1)) if len(margins) > 1 else 0.0
    if not spread > 0:
        raise ConfigError(f"cohort: expected at least two training scans with different margins, found {len(margins)} "
                          f"with a standard deviation of {spread:g}")  # fmt: skip
    return float(f"{spread:.6g}")


