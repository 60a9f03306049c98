"""Where a run computes: on the GPU by the first engine of a ladder that works there, or on the CPU as `choice` says."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, EngineError
from . import available_engines, check_device, check_precision, choose_engine, cuda, graph_precision, run_precision
from .base import Engine
from .choice import VARIABLE, Probe, choose, relative_l2
from .device_arrays import give_back_unused
from .reasons import DeviceFull

DEVICES = ("auto", "cpu", "cuda")
DEVICE_VARIABLE = "LAYER_FAST_DEVICE"
LADDER = ("tensorrt", "torch", "onnxruntime")
"""Engines on a GPU, the best first; below the last of them the CPU's engines."""
HALF_AGREEMENT = 2e-2  # L2, relative: half precision rounds to 1e-3, a wrong kernel is off by about 1
_log = logging.getLogger("layer_fast.engines")

Open = Callable[[str, Probe, str, str], Engine]
"""(engine, probe, device, precision) -> opened engine."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run asks for: engine, device and precision, each "auto" or a name."""

    engine: str
    device: str
    precision: str
    threads: int


@dataclass(frozen=True, slots=True)
class Trial:
    """How an engine is tried. probes: the graphs of the run with its batches. smaller: halves the batches, False where
    they cannot be halved. planned: makes them what they were before any was halved."""

    probes: Callable[[], Sequence[Probe]]
    opened: Open
    smaller: Callable[[], bool] = lambda: False
    planned: Callable[[], None] = lambda: None


def may_use_gpu(wanted: Wanted, kept: dict[str, Any] | None) -> bool:
    """Whether `place` may try an engine on a GPU that is there."""
    device = _device(wanted.device)
    named = wanted.engine if wanted.engine != "auto" else os.environ.get(VARIABLE, "") or "auto"
    if cuda.driver().missing is not None or (device == "cpu" and named != "tensorrt"):
        return False
    if wanted.engine == "auto" and kept is not None and device in ("auto", kept.get("device", "cpu")):
        return bool(kept.get("device", "cpu") == "cuda")
    return named in ("auto", "tensorrt") or device == "cuda"


def place(wanted: Wanted, trial: Trial, kept: dict[str, Any] | None = None) -> dict[str, Any]:
    """The engine of a run as `choice.choose` gives it, with "device": "cuda" where it is on the GPU.

    An engine that is named is taken or refused, never replaced. "auto" goes on with the engine of the run that goes on
    (`kept`); on a machine without a GPU, or with device "cpu", it is `choice.choose`; else the first rung of LADDER
    that is installed, opens every graph and agrees with ONNX Runtime on the CPU, and where there is none, the CPU.
    "left_out" has the reason of every rung above, and a warning is logged. Raises EngineError, ConfigError.
    """
    device, engine = _device(wanted.device), wanted.engine
    if engine == "auto" and kept is not None and device in ("auto", kept.get("device", "cpu")):
        if kept.get("device", "cpu") == "cuda":
            return _go_on(kept, wanted, trial)
        return _on_cpu(wanted, trial, kept)
    named = os.environ.get(VARIABLE, "") if engine == "auto" else ""
    why = VARIABLE if named and named != "auto" else "asked for"
    engine = named if named and named != "auto" else engine
    if engine == "tensorrt" or (engine != "auto" and device == "cuda"):
        check_device(engine, "cuda" if wanted.device == "auto" else wanted.device)  # a name overrides the variable
        _check(engine, wanted, trial)
        return _chosen(engine, why, {})
    no_gpu = device == "auto" and cuda.driver().missing is not None
    if device == "cpu" or engine != "auto" or no_gpu or wanted.precision == "bfloat16":
        if device == "cuda":
            raise EngineError(f"precision {wanted.precision!r} is the CPU's, got device 'cuda'; leave one of them out")
        return _on_cpu(wanted, trial, None)
    return _climb(wanted, trial)


def _device(given: str) -> str:
    """The option, else LAYER_FAST_DEVICE, else "auto"."""
    if given != "auto":
        return given
    named = os.environ.get(DEVICE_VARIABLE, "") or "auto"
    if named not in DEVICES:
        raise ConfigError(f"{DEVICE_VARIABLE}: expected one of {', '.join(DEVICES)}, got {named!r}")
    return named


def _on_cpu(wanted: Wanted, trial: Trial, kept: dict[str, Any] | None) -> dict[str, Any]:
    if wanted.precision == "mixed":
        check_precision("onnxruntime", "mixed")  # no engine of the CPU does
    precision = "float32" if wanted.precision == "auto" else wanted.precision
    return choose(wanted.engine, trial.probes, threads=wanted.threads, precision=precision, kept=kept)


def _climb(wanted: Wanted, trial: Trial) -> dict[str, Any]:
    left_out: dict[str, str] = {}
    for name, following in zip(LADDER, [*LADDER[1:], ""], strict=True):
        try:
            _try(name, wanted, trial)
            return _chosen(name, f"the first of {', '.join(LADDER)} that runs on this GPU", left_out)
        except EngineError as error:
            left_out[f"{name} on cuda"] = str(error)
            after = f"{following} on cuda" if following else "the CPU"
            _log.warning("engine %s on cuda is left out: %s; next: %s", name, error, after)
    choice = _on_cpu(wanted, trial, None)
    _log.warning("no engine runs on the GPU; this run computes on the CPU with %s", choice["chosen"])
    why = f"{choice['why']}; on the CPU, for no engine runs on the GPU"
    return {**choice, "why": why, "left_out": {**left_out, **choice["left_out"]}}


def _go_on(kept: dict[str, Any], wanted: Wanted, trial: Trial) -> dict[str, Any]:
    """The engine of the run on the GPU, so that its records come from one engine."""
    try:
        _compare(str(kept["chosen"]), wanted, trial)
    except EngineError as error:
        raise EngineError(
            f"this run used engine {kept['chosen']!r} on cuda, which does not run here: {error}; or name another one "
            f"with --engine or --device, which runs all its scans again"
        ) from error
    return kept


def _check(name: str, wanted: Wanted, trial: Trial) -> None:
    """Raise EngineError that names the next engine where one that was asked for does not run."""
    try:
        _try(name, wanted, trial)
    except EngineError as error:
        after = LADDER[LADDER.index(name) + 1 :] if name in LADDER else ()
        following = f"--engine {after[0]} --device cuda" if after else "--device cpu"
        raise EngineError(f"engine {name!r} on cuda: {error}; next: {following}") from error


def _try(name: str, wanted: Wanted, trial: Trial) -> None:
    """As `_compare`, with the planned batches, halved for as long as the GPU is full and they can be."""
    trial.planned()  # an engine that needs more must not leave the next one with batches of 1
    while True:
        give_back_unused()  # of the try before, by this engine or another: its arrays are gone, its pools are not
        try:
            return _compare(name, wanted, trial)
        except DeviceFull as error:
            if not trial.smaller():
                raise
            _log.warning("engine %s: %s; tried again with half the batches", name, error)


def _compare(name: str, wanted: Wanted, trial: Trial) -> None:
    """Raise EngineError unless the engine opens every graph on the GPU and gives ONNX Runtime's numbers. Graphs stay
    open until the last is compared, as a lane holds them: together they must fit."""
    cuda.first_gpu()
    choose_engine(name)
    check_precision(name, wanted.precision)
    precision = run_precision(name, wanted.precision)
    compared = not available_engines()["onnxruntime"].startswith("missing")
    held: list[Engine] = []
    for probe in trial.probes():
        own = graph_precision(precision, probe.kind)
        held.append(trial.opened(name, probe, "cuda", own))
        found = held[-1].run(probe.feeds, probe.outputs)
        if not compared:
            continue
        expected = trial.opened("onnxruntime", probe, "cpu", "float32").run(probe.feeds, probe.outputs)
        limit = probe.limit if own == "float32" else max(probe.limit, HALF_AGREEMENT)
        for output, a, b in zip(probe.outputs, found, expected, strict=True):
            apart = relative_l2(a, b)
            if not apart <= limit:  # NaN is no agreement
                raise EngineError(f"{probe.label}: output {output!r} differs by {apart:.2g} (L2, relative; limit "
                                  f"{limit:g}) from onnxruntime on the CPU")  # fmt: skip


def _chosen(name: str, why: str, left_out: dict[str, str]) -> dict[str, Any]:
    return {"chosen": name, "device": "cuda", "why": why, "seconds": {}, "left_out": left_out, "graph": ""}
