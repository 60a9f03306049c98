"""Work in units, each kept as soon as it is done: a run that was stopped goes on where it was.

A part's file is {"part", "identity", "units": {key: result}, "seconds": {key: s}, "summary"}. `identity` names all that
the results follow from (designs, seeds, definitions); a file of another identity is never mixed in.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from .. import quantify
from .._version import __version__
from ..config import RESULT_VERSION, thread_budget
from ..errors import ConfigError
from ..files import write_atomic

Unit = dict[str, Any]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def identity(**designs: Any) -> dict[str, Any]:
    """What a part's numbers follow from: its own designs, the version of the results, the claim's definition."""
    known = quantify.PRESETS["layer_shapley"].sha256_short
    rule = {
        "alpha": quantify.Settings().alpha, "replicates": quantify.Settings().replicates,
        "gates": sorted(quantify.gates.ELSEWHERE),
    }  # fmt: skip
    found = {"result_version": RESULT_VERSION, "layer_shapley": known, "rule": rule, **designs}
    return dict(json.loads(json.dumps(found)))


def path_of(out: Path, part: str, quick: bool) -> Path:
    return out / f"validation_{part}{'_quick' if quick else ''}.json"


def read(path: Path) -> dict[str, Any] | None:
    """A part's file, None where there is none. Raises ConfigError for a file that is not one."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path}: expected the results of a validation as JSON, found: {error}") from error
    if not isinstance(found, dict) or "units" not in found or "identity" not in found:
        raise ConfigError(f"{path}: expected the results of a validation, found other JSON")
    return found


def run_units(
    path: Path, part: str, known: Mapping[str, Any], units: Mapping[str, Any], work: Callable[[Any], Unit],
    summarise: Callable[[dict[str, Unit]], Any], *, processes: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run what is missing of `units` (key -> argument of `work`, a function of a module) and return the file's content.

    The file is written after every unit; order and number of processes change no number. Raises ConfigError where the
    file holds results of another identity: move it away, or take another folder.
    """
    held = read(path)
    if held is not None and held["identity"] != known:
        raise ConfigError(f"{path}: expected results of these designs and rules, found those of others; move it away")
    done: dict[str, Unit] = {} if held is None else {k: v for k, v in held["units"].items() if k in units}
    seconds: dict[str, float] = {} if held is None else dict(held["seconds"])
    missing = {key: argument for key, argument in units.items() if key not in done}
    if not missing and held is not None:
        return held
    start = time.monotonic()

    def keep(key: str, result: Unit, spent: float) -> None:
        done[key], seconds[key] = result, round(spent, 2)
        _write(path, part, known, units, done, seconds, summarise)
        _tell(part, len(done), len(units), time.monotonic() - start, len(missing) - (len(units) - len(done)))

    for key, result, spent in _results(missing, work, processes or min(thread_budget(), len(missing))):
        keep(key, result, spent)
    return read(path) or {}


def _results(missing: Mapping[str, Any], work: Callable[[Any], Unit], processes: int) -> Any:
    if processes == 1:
        for key, argument in missing.items():
            yield key, *_timed(work, argument)
        return
    for name in _ONE_THREAD:  # read by the libraries when a worker loads them
        os.environ[name] = "1"
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_timed, work, argument): key for key, argument in missing.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], *future.result()
        finally:
            for future in waiting:
                future.cancel()


def _timed(work: Callable[[Any], Unit], argument: Any) -> tuple[Unit, float]:
    start = time.perf_counter()
    return work(argument), time.perf_counter() - start


def _write(
    path: Path, part: str, known: Mapping[str, Any], units: Mapping[str, Any], done: dict[str, Unit],
    seconds: dict[str, float], summarise: Callable[[dict[str, Unit]], Any],
) -> None:  # fmt: skip
    ordered = {key: done[key] for key in units if key in done}
    document = {
        "layer_fast": __version__, "part": part, "identity": known, "complete": len(ordered) == len(units),
        "summary": summarise(ordered), "units": ordered, "seconds": {k: seconds[k] for k in ordered if k in seconds},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def _tell(part: str, done: int, total: int, spent: float, made: int) -> None:
    if done % max(1, total // 20) and done != total:
        return
    left = spent / made * (total - done) if made else 0.0
    print(f"{part}: {done} of {total} units, {spent:.0f} s spent, about {left:.0f} s left", file=sys.stderr)
