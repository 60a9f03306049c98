"""Write a phantom cohort: NIfTI files, masks, cohort.csv and the planted truth."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from layer_fast.errors import ConfigError
from layer_fast.files import write_atomic
from layer_fast.phantom.anatomy import boundaries_mm, mean_thickness_mm
from layer_fast.phantom.effects import Effect
from layer_fast.phantom.nifti import nifti_bytes
from layer_fast.phantom.plan import plan_cohort
from layer_fast.phantom.render import render
from layer_fast.phantom.spec import DEFAULT_SHAPE, DEFAULT_SPACING_MM, SWE_KERNEL_FWHM_MM, ScanSpec
from layer_fast.types import LAYERS

PHANTOM_VERSION = 1  # raised whenever the same parameters give other voxels
FOLDS = 5
COLUMNS = (
    "scan_id", "subject", "visit", "side", "site", "repeat", "bmode", "swe", "swe_unit", "mask",
    "label", "label_type", "label_unit", "fold", "age", "sex", "bmi",
)  # fmt: skip
Progress = Callable[[int, int], object]


def scan_files(spec: ScanSpec) -> dict[str, str]:
    """Return the scan's files by cohort column, relative to the cohort folder."""
    name = spec.scan_id
    return {
        "bmode": f"images/{name}_bmode.nii.gz",
        "swe": f"images/{name}_swe.nii.gz",
        "mask": f"masks/{name}_mask.nii.gz",
    }


def write_scan(spec: ScanSpec, out: Path) -> None:
    """Render one scan into the cohort folder `out`; files that are there already are kept."""
    missing = {column: out / name for column, name in scan_files(spec).items() if not (out / name).is_file()}
    if not missing:
        return
    scan = render(spec)
    for column, array in (("bmode", scan.bmode), ("swe", scan.swe), ("mask", scan.labels)):
        if column in missing:
            write_atomic(missing[column], nifti_bytes(array, scan.affine))


def _folds(specs: list[ScanSpec]) -> dict[str, int]:
    """Return a fold per subject, cases and controls dealt out in turn."""
    folds: dict[str, int] = {}
    dealt = {True: 0, False: 0}
    for spec in specs:
        if spec.subject.subject_id not in folds:
            folds[spec.subject.subject_id] = dealt[spec.is_case] % FOLDS
            dealt[spec.is_case] += 1
    return folds


def _table(specs: list[ScanSpec]) -> str:
    text, folds = io.StringIO(), _folds(specs)
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for spec in specs:
        person = spec.subject
        row: dict[str, object] = {
            "scan_id": spec.scan_id,
            "subject": person.subject_id,
            "visit": 1,
            "side": spec.side,
            "site": spec.site,
        }
        row |= {"repeat": spec.repeat, "swe_unit": "m/s", "label": spec.label, "label_type": "binary"}
        row |= {"label_unit": "subject", "fold": folds[person.subject_id]}
        row |= {"age": person.age, "sex": person.sex, "bmi": person.bmi}
        writer.writerow(row | scan_files(spec))
    return text.getvalue()


def _rounded(value: Any) -> Any:
    """Return `value` with floats at six decimals, so that the text is the same on every machine."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def _scan_truth(spec: ScanSpec) -> dict[str, Any]:
    thickness = mean_thickness_mm(boundaries_mm(spec), spec)
    return {
        "scan_id": spec.scan_id,
        "subject": spec.subject.subject_id,
        "is_case": spec.is_case,
        "side": spec.side,
        "site": spec.site,
        "repeat": spec.repeat,
        "mean_thickness_mm": dict(zip(LAYERS, thickness, strict=True)),
        "gain_db": spec.gain_db,
        "echo_db": spec.echo_db,
        "pressure": spec.pressure,
    }


def _truth(specs: list[ScanSpec], parameters: dict[str, Any]) -> str:
    subjects = {spec.subject.subject_id: asdict(spec.subject) for spec in specs}
    truth = {
        "what": "layer_fast phantom cohort: synthetic, no patient",
        "parameters": parameters,
        "planted_layers": sorted({e["layer"] for e in parameters["effects"]}, key=LAYERS.index),
        "layers": LAYERS,
        "swe_kernel": {"shape": "isotropic Gaussian", "fwhm_mm": parameters["swe_kernel_fwhm_mm"]},
        "units": {"echo_db": "dB", "speed": "factor", "thickness": "mm", "by_label_value": "0 background, 1..6 layers"},
        "subjects": subjects,
        "scans": [_scan_truth(spec) for spec in specs],
    }
    return json.dumps(_rounded(truth), indent=1) + "\n"


def _same_cohort(out: Path, parameters: dict[str, Any]) -> bool:
    """Return whether `out` already holds this cohort, whole or begun; ConfigError where it holds anything else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise ConfigError(f"[make_cohort] out: expected a folder, {out} is a file")
    if not any(not entry.name.endswith(".tmp") for entry in out.iterdir()):  # .tmp: left by a killed run
        return False
    try:
        found = json.loads((out / "truth.json").read_text(encoding="utf-8"))["parameters"]
        differing = sorted(k for k in {*found, *parameters} if found.get(k) != parameters.get(k))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"[make_cohort] out: {out} is not empty and holds no phantom cohort; expected a new or empty folder"
        ) from None
    if differing:
        raise ConfigError(
            f"[make_cohort] out: {out} holds a phantom cohort of other parameters ({', '.join(differing)}); "
            "expected a new folder or the same parameters"
        )
    return True


def _each(specs: list[ScanSpec], out: Path, processes: int) -> Iterator[None]:
    """Write all scans; one item per scan done. Spawned workers where processes > 0."""
    if processes == 0:
        for spec in specs:
            write_scan(spec, out)
            yield
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(write_scan, out=out), specs)


def make_cohort(
    out: str | Path,
    *,
    subjects: int = 24,
    scans_per_subject: int = 2,
    effects: Iterable[Effect] | None = (),
    seed: int = 0,
    case_fraction: float = 0.5,
    shape: tuple[int, int, int] = DEFAULT_SHAPE,
    spacing_mm: tuple[float, float, float] = DEFAULT_SPACING_MM,
    swe_kernel_fwhm_mm: float = SWE_KERNEL_FWHM_MM,
    processes: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write a phantom cohort into folder `out` and return the path of its cohort.csv.

    images/*.nii.gz (B-mode uint8; shear wave float32 m/s, NaN where nothing was measured), masks/*.nii.gz (labels
    0..6), truth.json (what was planted), and, last, cohort.csv (paths relative to it). A cohort of the same parameters
    that is already there is reused; one that was interrupted is finished.

    processes: 0 renders here, n renders in n spawned processes. progress: called with (scans done, scans in all).
    Other arguments as in `plan_cohort`. Raises ConfigError where `out` holds something else or an argument is wrong.
    """
    if processes < 0:
        raise ConfigError(f"[make_cohort] processes: expected 0 or more, got {processes}")
    out, planted = Path(out), tuple(effects or ())
    arguments: dict[str, Any] = {
        "subjects": subjects,
        "scans_per_subject": scans_per_subject,
        "seed": seed,
        "case_fraction": float(case_fraction),
        "shape": [int(n) for n in shape],
        "spacing_mm": [float(s) for s in spacing_mm],
        "swe_kernel_fwhm_mm": float(swe_kernel_fwhm_mm),
    }
    specs = plan_cohort(effects=planted, **arguments)
    parameters = {"phantom_version": PHANTOM_VERSION, "effects": [asdict(e) for e in planted], **arguments}
    table = out / "cohort.csv"
    if not _same_cohort(out, parameters):
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "truth.json", _truth(specs, parameters).encode())
    for folder in ("images", "masks"):
        (out / folder).mkdir(exist_ok=True)
    for done, _ in enumerate(_each(specs, out, processes), start=1):
        if progress is not None:
            progress(done, len(specs))
    write_atomic(table, _table(specs).encode())
    return table
