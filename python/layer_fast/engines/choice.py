"""Which engine a run uses: the one asked for, the one the run began with, or the fastest of those that agree."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from . import available_engines, check_precision, choose_engine, open_engine
from .base import Arrays, Engine, Sizes

MEASURED = ("onnxruntime", "openvino")  # not torch, the reference: its thread count is that of the whole process
AGREEMENT = 1e-3  # L2 difference to the first engine, relative; float32 engines differ by 1e-7 to 1e-5
BUDGET_SECONDS = 3.0
MAX_ROUNDS = 9
CLEAR = 1.5  # three rounds are enough where every run of one engine is this much faster than any of the others
VARIABLE = "LAYER_FAST_ENGINE"
UNCOMPARED = f"; its numbers were not compared, for {MEASURED[0]} is not installed"

Open = Callable[[str, bytes, str], Engine]
"""(engine, model, label) -> opened engine."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A graph to measure with: its ONNX bytes, inputs as a run feeds them, how much its time counts (0: it is only
    compared), the largest relative L2 difference to the first engine that is agreement, its kind, and the sizes of a
    run for engines that are built for them."""

    label: str
    model: bytes
    feeds: Arrays
    outputs: tuple[str, ...]
    weight: float = 1.0
    limit: float = AGREEMENT
    kind: str = "forward"
    sizes: Sizes | None = None


def choose(
    wanted: str,
    probes: Callable[[], Sequence[Probe]],
    *,
    threads: int,
    precision: str = "float32",
    kept: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The engine of a run as a JSON-ready dict: "chosen", "why", and where it was measured "seconds" (median of one
    pass over the probes, by engine), "left_out" (reason, by engine) and "graph".

    wanted: an engine, or "auto": then bfloat16 means openvino, `kept` (the choice of the run that goes on) is taken
    as it is, the environment variable LAYER_FAST_ENGINE names one, or the installed engines are measured on `probes`.
    Whichever it is, an engine other than ONNX Runtime must agree with it on every probe ("left_out" says why one that
    was measured did not, "why" where ONNX Runtime is not there to compare with). Raises EngineError with the reason and
    what to type.
    """

    def opened(name: str, model: bytes, label: str) -> Engine:
        return open_engine(name, model, threads=threads, label=label)

    check_precision(wanted, precision)
    decided = _decided(wanted, precision, kept)
    if decided is None:
        return measure(MEASURED, probes(), opened)
    if decided["chosen"] == MEASURED[0]:
        return decided
    if available_engines()[MEASURED[0]].startswith("missing"):
        return decided | {"why": f"{decided['why'].removesuffix(UNCOMPARED)}{UNCOMPARED}"}
    verify(decided["chosen"], probes(), opened)
    return decided | {"why": decided["why"].removesuffix(UNCOMPARED)}


def _decided(wanted: str, precision: str, kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """The choice where there is nothing to measure, else None."""
    if wanted != "auto":
        return _fixed(choose_engine(wanted), "asked for")
    if precision != "float32":
        return _fixed(choose_engine("openvino"), f"the engine that computes in {precision}")
    if kept is not None:
        return _continued(kept)
    named = os.environ.get(VARIABLE, "")
    if named and named != "auto":
        return _fixed(choose_engine(named), VARIABLE)
    found = available_engines()
    names = [name for name in MEASURED if not found[name].startswith("missing")]
    if len(names) == 1:
        return _fixed(names[0], "the only engine that is installed; nothing was measured")
    return None


def verify(name: str, probes: Sequence[Probe], opened: Open) -> None:
    """Raise EngineError unless the engine gives ONNX Runtime's numbers for every probe, to the probe's limit."""
    for probe in probes:
        found, expected = (
            opened(engine, probe.model, probe.label).run(probe.feeds, probe.outputs) for engine in (name, MEASURED[0])
        )
        if why := _disagreement([probe], [found], [expected]):
            raise EngineError(f"engine {name!r} gives wrong numbers: {why} from {MEASURED[0]}; use another --engine")


def measure(names: Sequence[str], probes: Sequence[Probe], opened: Open) -> dict[str, Any]:
    """Open every engine on every probe, leave out those that fail or disagree with the first, time the others in
    turns (at most about 3 s, at least once each) and take the smallest median."""
    engines: dict[str, list[Engine]] = {}
    left_out: dict[str, str] = {}
    reference: list[list[NDArray[Any]]] = []
    for name in names:
        try:
            engines[name] = [opened(name, probe.model, probe.label) for probe in probes]
            results = [e.run(p.feeds, p.outputs) for e, p in zip(engines[name], probes, strict=True)]  # a warm-up too
        except EngineError as error:
            engines.pop(name, None)
            left_out[name] = str(error)
            continue
        reference = reference or results
        if why := _disagreement(probes, results, reference):
            engines.pop(name)
            left_out[name] = f"{why} from {next(iter(engines))}"
    if not engines:
        raise EngineError("no engine runs the graphs: " + "; ".join(f"{n}: {why}" for n, why in left_out.items()))
    graph = "; ".join(probe.label for probe in probes if probe.weight)
    if len(engines) == 1:
        return {**_fixed(next(iter(engines)), "the only engine left"), "left_out": left_out, "graph": graph}
    seconds = {name: statistics.median(times) for name, times in _time(engines, probes).items()}
    chosen = min(seconds, key=lambda name: seconds[name])
    rounded = {name: float(f"{value:.3g}") for name, value in seconds.items()}
    return {"chosen": chosen, "why": "measured", "seconds": rounded, "left_out": left_out, "graph": graph}


def _fixed(name: str, why: str) -> dict[str, Any]:
    return {"chosen": name, "why": why, "seconds": {}, "left_out": {}, "graph": ""}


def _continued(kept: dict[str, Any]) -> dict[str, Any]:
    """The run's own choice, so that its records come from one engine, whatever would be faster today."""
    name = str(kept["chosen"])
    try:
        choose_engine(name)
    except EngineError as error:
        raise EngineError(
            f"this run used engine {name!r}, which is not here: {error}; or name another one with --engine, which "
            f"runs all its scans again"
        ) from error
    return kept


def _disagreement(
    probes: Sequence[Probe], results: list[list[NDArray[Any]]], reference: list[list[NDArray[Any]]]
) -> str:
    for probe, found, expected in zip(probes, results, reference, strict=True):
        for name, a, b in zip(probe.outputs, found, expected, strict=True):
            difference = relative_l2(a, b)
            if not difference <= probe.limit:  # NaN is no agreement
                return (
                    f"{probe.label}: output {name!r} differs by {difference:.2g} (L2, relative; limit {probe.limit:g})"
                )
    return ""


def relative_l2(a: NDArray[Any], b: NDArray[Any]) -> float:
    """L2 norm of a - b relative to that of b, in float64; the plain norm where b vanishes."""
    if a.shape != b.shape:
        return float("inf")
    norm = float(np.linalg.norm(b.astype(np.float64)))
    return float(np.linalg.norm(a.astype(np.float64) - b)) / (norm if norm > 0 else 1.0)


def _time(engines: dict[str, list[Engine]], probes: Sequence[Probe]) -> dict[str, list[float]]:
    """Seconds of each pass over the probes, the engines in turn so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    end = time.perf_counter() + BUDGET_SECONDS
    for _ in range(MAX_ROUNDS):
        for name, opened in engines.items():
            spent = 0.0
            for engine, probe in zip(opened, probes, strict=True):
                if probe.weight == 0:
                    continue
                start = time.perf_counter()
                engine.run(probe.feeds, probe.outputs)
                spent += probe.weight * (time.perf_counter() - start)
            times[name].append(spent)
        if time.perf_counter() > end or _is_clear(times):
            break
    return times


def _is_clear(times: dict[str, list[float]]) -> bool:
    """Whether the slowest run of one engine is far below the fastest run of every other, three times or more."""
    best = min(times, key=lambda name: max(times[name]))
    others = [min(times[name]) for name in times if name != best]
    return len(times[best]) >= 3 and max(times[best]) * CLEAR < min(others)
