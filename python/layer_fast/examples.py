"""The example scans of a run: chosen by role from its tables, then read once more for a picture each."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .config import CAM_METHODS, GRADIENT_METHODS, RunConfig
from .files import write_atomic
from .models import ModelPackage
from .pipeline import Pipeline
from .quantify.examples import choose_examples
from .quantify.folds import LogitSd
from .quantify.ordinal import split_at
from .quantify.setup_scans import Pair, main_method, value_column
from .quantify.summary import CAPTION, DISCLAIMER, claims_json, clean
from .quantify.tables import CELL_KEYS
from .steps.picture import picture_stands, save_picture
from .steps.record import target_name
from .types import SETUPS, Failure, ScanRef

if TYPE_CHECKING:
    import pyarrow

Parts = Callable[[list[ScanRef]], Iterable[tuple[list[ScanRef], Pipeline]]]
FILE, FOLDER = "examples.json", "pictures"
SCHEMA_VERSION = 1
_SCAN = ("scan_id", "subject", "label", "fold", "status", "key")
_NAME = re.compile(r"[0-9a-f]{32}\.npz")
_log = logging.getLogger("layer_fast.examples")


def write_examples(
    out: Path, refs: list[ScanRef], config: RunConfig, packages: Iterable[ModelPackage], parts: Parts, *,
    stopped: bool, logit_sd: LogitSd = None,
) -> None:  # fmt: skip
    """Write examples.json from layers.parquet and scans.parquet in `out`, and pictures/*.npz of its scans.

    refs: the scans of the run. packages: every package of the run. parts: some of these scans -> (scans, the pipeline
    that takes them), each scan in one part; asked only where a picture is to be made. logit_sd: of a fold map, as
    `quantify.summary` takes it.
    A picture of the same record and method is kept; the others are made by reading their scans once more, which runs
    one map method and no coalitions. A scan that cannot be read any more, or whose files have changed since, has no
    picture and examples.json says why. stopped: nothing is read. Pictures of scans that are no examples are removed.
    """
    scans = _scans(out / "scans.parquet")
    layers = _layers(out / "layers.parquet", config)
    found = choose_examples(layers, scans, targets=_targets(packages, config), logit_sd=logit_sd)
    keys = dict(zip(scans.column("scan_id").to_pylist(), scans.column("key").to_pylist(), strict=True))
    wanted = {scan["scan_id"]: keys[scan["scan_id"]] for scan in found["scans"][: config.pictures]}
    method = map_method(config.methods)
    _remove_others(out / FOLDER, set(wanted))
    missing = _missing(out / FOLDER, wanted, method or "")
    if stopped:
        failed = dict.fromkeys(missing, "the run was stopped; the same command makes it")
    else:
        failed = _make(out / FOLDER, [ref for ref in refs if ref.scan_id in missing], wanted, parts, method)
    for scan in found["scans"]:
        name = scan["scan_id"]
        why = failed.get(name, "") if name in wanted else f"option pictures: at most {config.pictures}"
        scan |= {"picture": None if why else picture_name(name), "why_no_picture": why}
    facts = {"schema_version": SCHEMA_VERSION, "caption": CAPTION, "disclaimer": DISCLAIMER, "map_method": method}
    write_atomic(out / FILE, claims_json(clean({**facts, "pictures": config.pictures, **found})))


def picture_name(scan_id: str) -> str:
    """The file of a scan's picture in pictures/."""
    return hashlib.sha256(scan_id.encode()).hexdigest()[:32] + ".npz"


def map_method(methods: tuple[str, ...]) -> str | None:
    """The map that pictures show: the first class activation map of the run, else its first gradient map."""
    return next((name for name in (*CAM_METHODS, *GRADIENT_METHODS) if name in methods), None)


def _layers(path: Path, config: RunConfig) -> pyarrow.Table | list[None]:
    """The rows of the one method that examples are chosen by: of thousands of scans a small part of the table."""
    import pyarrow.parquet as parquet

    if not config.methods:
        return []
    method = main_method(config.methods)
    names = [*CELL_KEYS, "scan_id", "subject", "region", "region_kind", value_column(method)]
    return parquet.read_table(path, columns=names, filters=[("method", "==", method), ("channel", "==", "")])


def _scans(path: Path) -> pyarrow.Table:
    import pyarrow.parquet as parquet

    margins = [f"margin_{setup}" for setup in SETUPS]
    return parquet.read_table(path, columns=[*_SCAN, *margins])


def _targets(packages: Iterable[ModelPackage], config: RunConfig) -> dict[str, Pair]:
    """Target text of the tables -> its two classes."""
    out: dict[str, Pair] = {}
    for package in packages:
        target, classes = package.manifest.target, package.manifest.classes or ()
        if target is not None:
            pair = split_at(classes, target.positive) if target.at_or_above else (target.positive, target.negative)
            out[target_name(target, config.target)] = pair
    return out


def _remove_others(folder: Path, wanted: set[str]) -> None:
    """Pictures of scans that are no examples any more; other files are the user's."""
    names = {picture_name(scan_id) for scan_id in wanted}
    for path in folder.glob("*.npz"):
        if _NAME.fullmatch(path.name) and path.name not in names:
            path.unlink()


def _missing(folder: Path, wanted: dict[str, str], method: str) -> set[str]:
    """Scans whose picture is not there, or is of an older record, which is removed."""
    out = set()
    for scan_id, key in wanted.items():
        path = folder / picture_name(scan_id)
        if not picture_stands(path, key, method):
            path.unlink(missing_ok=True)
            out.add(scan_id)
    return out


def _make(
    folder: Path, refs: list[ScanRef], keys: dict[str, str], parts: Parts, method: str | None
) -> dict[str, str]:
    """Write the pictures of these scans; of those that have none, why."""
    failed: dict[str, str] = {}
    for own, pipeline in parts(refs) if refs else ():
        for ref, found in zip(own, pipeline.pictures(own, method), strict=True):
            if isinstance(found, Failure):
                failed[ref.scan_id] = f"read again for its picture: {found.step}, {found.code}: {found.message}"
            elif found.key != keys[ref.scan_id]:
                failed[ref.scan_id] = "its files have changed since its numbers were made"
            else:
                save_picture(found, folder / picture_name(ref.scan_id))
        del pipeline  # its engines go before the next one's come
    for scan_id, why in failed.items():
        _log.warning("no picture of example scan %s: %s", scan_id, why)
    return failed
