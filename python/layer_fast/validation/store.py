"""Work in units, each kept as soon as it is done: a run that was stopped goes on where it was.

A part's file is {"part", "commit", "identity", "complete", "units": {key: result}, "seconds": {key: s}, "summary"}.
`identity` names all that the results follow from (designs, seeds, rule); a file of another one is never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import connection
from pathlib import Path
from threading import Thread
from typing import Any

from .. import quantify
from .._version import __version__
from ..config import RESULT_VERSION, thread_budget
from ..errors import ConfigError
from ..files import write_atomic

Unit = dict[str, Any]
COMMIT = "LAYER_FAST_COMMIT"  # environment: the commit of the source, as the Makefile gives it
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def identity(**designs: Any) -> dict[str, Any]:
    """What a part's numbers follow from: its designs, the version of the results, the claim's definition and rule."""
    known = quantify.PRESETS["layer_shapley"].sha256_short
    found = {"result_version": RESULT_VERSION, "layer_shapley": known, "rule_sha256": rule_sha256(), **designs}
    return dict(json.loads(json.dumps(found)))


def rule_sha256() -> str:
    """First 12 hex digits of the SHA-256 over `layer_fast.fills` and all modules of `layer_fast.quantify`, the rooms
    inside it too (place and text, sorted by place): a change of any of them, if only of a comment, is another rule, so
    that a frozen rule cannot move unseen."""
    package = Path(quantify.__file__).parents[1]
    modules = {path.relative_to(package).as_posix(): path for path in (package / "quantify").rglob("*.py")}
    modules["fills.py"] = package / "fills.py"
    texts = [f"{place}\n{modules[place].read_text(encoding='utf-8')}" for place in sorted(modules)]
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:12]


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

    # The first commit a file was begun with: the rule's own hash is part of the identity.
    commit = os.environ.get(COMMIT, "") if held is None else held["commit"]

    def keep(key: str, result: Unit, spent: float) -> None:
        done[key], seconds[key] = result, round(spent, 2)
        ordered = {key: done[key] for key in units if key in done}
        head = {"layer_fast": __version__, "part": part, "commit": commit, "identity": known}
        body = {"complete": len(ordered) == len(units), "summary": summarise(ordered), "units": ordered}
        _write(path, {**head, **body, "seconds": {k: seconds[k] for k in ordered}})
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
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent) as pool:
        waiting = {pool.submit(_timed, work, argument): key for key, argument in missing.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], *future.result()
        finally:
            for future in waiting:
                future.cancel()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("[validation] expected a worker process, found none that has a parent")

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, name="parent", daemon=True).start()


def _timed(work: Callable[[Any], Unit], argument: Any) -> tuple[Unit, float]:
    start = time.perf_counter()
    return work(argument), time.perf_counter() - start


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def _tell(part: str, done: int, total: int, spent: float, made: int) -> None:
    if done % max(1, total // 20) and done != total:
        return
    left = spent / made * (total - done) if made else 0.0
    print(f"{part}: {done} of {total} units, {spent:.0f} s spent, about {left:.0f} s left", file=sys.stderr)
