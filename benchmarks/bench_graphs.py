"""Compiled saliency beside PyTorch: in one process, in turns, with the answers compared before anything is timed.

    python benchmarks/bench_graphs.py                     all networks, 1 and 2 threads; some minutes
    python benchmarks/bench_graphs.py --quick --out x     a smoke run of a tiny network

Writes graphs_cpu.json (into benchmarks/results unless --out names another folder) and prints two tables: forward and
input gradient at once, against eager autograd; a classifier with its Grad-CAM graph, against the classifier alone.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"  # before torch loads OpenMP: idle threads must not spin beside an engine

import numpy as np

import graph_cases
from graph_cases import GraphCase
from layer_fast import graphs
from layer_fast.engines import available_engines, open_engine
from measuring.machine import ROOT, basics
from measuring.turns import paired, spread, take_turns
from measuring.verify import relative_l2
from pages.graphs import RATIOS, table
from rivals import torch_autograd as rival

AGREE = 2e-2  # L2; a flipped ReLU gate costs up to that, in PyTorch's own float32 too (docs/guides/saliency_graphs.md)
LOGITS_AGREE = 1e-3  # L2; no gate of the forward pass jumps
TRIES = 4
Row = dict[str, Any]
Calls = dict[str, Callable[[], Any]]
Apart = dict[str, float]


def engines() -> list[str]:
    return [
        name
        for name in ("onnxruntime", "openvino")
        if not available_engines().get(name, "missing").startswith("missing")
    ]


def opened(model: Any, threads: int, label: str) -> dict[str, Any]:
    data = model.SerializeToString()
    return {name: open_engine(name, data, threads=threads, label=label) for name in engines()}


def gradient_row(case: GraphCase, net: Any, model: Any, threads: int, rounds: int) -> Row:
    """Forward and input gradient in one call."""
    rival.set_threads(threads)
    sessions = opened(graphs.gradient(model), threads, case.name)

    def answers(seed: int) -> tuple[Calls, Apart, Apart]:
        rng = np.random.default_rng(seed)
        image = rng.standard_normal(case.shape, np.float32)
        cotangent = rng.standard_normal(rival.forward(net, image).shape, np.float32)
        feeds = {"image": image, "cotangent": cotangent}
        calls = {name: _call(session, feeds, ("logits", "grad_image")) for name, session in sessions.items()}
        calls["torch"] = lambda: rival.forward_gradient(net, image, cotangent)
        logits, gradient = calls["torch"]()
        found = {name: calls[name]() for name in sessions}
        forward = {name: relative_l2(got[0], logits) for name, got in found.items()}
        return calls, forward, {name: relative_l2(got[1], gradient) for name, got in found.items()}

    return _row(case, threads, rounds, answers, "torch_over_engine")


def cam_row(case: GraphCase, net: Any, model: Any, threads: int, rounds: int) -> Row:
    """The classifier alone, the classifier with its map, and Captum for scale."""
    rival.set_threads(threads)
    layer = graphs.find_activations(model)[0]
    plain = opened(model, threads, case.name)
    mapped = opened(graphs.gradcam(model, activation=layer), threads, case.name)

    def answers(seed: int) -> tuple[Calls, Apart, Apart]:
        image = np.random.default_rng(seed).standard_normal(case.shape, np.float32)
        one_hot = np.eye(2, dtype=np.float32)[[1] * case.shape[0]]
        calls = {name: _call(session, {"image": image}, ("logits",)) for name, session in plain.items()}
        for name, session in mapped.items():
            calls[f"{name} + CAM"] = _call(session, {"image": image, "cotangent": one_hot}, ("logits", "cam"))
        calls["torch"] = lambda: rival.forward(net, image)
        calls["torch + Captum"] = lambda: rival.layer_gradcam(net, case.layer, image, 1)
        logits, cam = calls["torch"](), calls["torch + Captum"]()
        found = {name: calls[name]() for name in calls if not name.startswith("torch")}
        forward = {name: relative_l2(got[0], logits) for name, got in found.items()}
        return calls, forward, {name: relative_l2(found[f"{name} + CAM"][1], cam) for name in mapped}

    return _row(case, threads, rounds, answers, "map_over_alone")


def _call(session: Any, feeds: dict[str, Any], outputs: tuple[str, ...]) -> Callable[[], Any]:
    return lambda: session.run(feeds, outputs)


def _agreeing(case: GraphCase, answers: Callable[[int], tuple[Calls, Apart, Apart]]) -> tuple[Calls, Apart, Apart]:
    """Calls on the first input on which no gate flips; none of a few: the graph is wrong, and nothing is timed."""
    forward, apart = {}, {}
    for seed in range(TRIES):
        calls, forward, apart = answers(seed)
        # NaN compares as false, so it never agrees.
        if all(v <= LOGITS_AGREE for v in forward.values()) and all(v <= AGREE for v in apart.values()):
            return calls, forward, apart
    raise SystemExit(
        f"{case.name}: differs from PyTorch (L2, relative): logits by {forward}, expected at most {LOGITS_AGREE}; "
        f"gradients or maps by {apart}, expected at most {AGREE}"
    )


def _row(case: GraphCase, threads: int, rounds: int, answers: Callable[[int], Any], ratios: str) -> Row:
    """Agreement first, then the turns."""
    calls, forward, apart = _agreeing(case, answers)
    times = take_turns(calls, rounds)
    return {
        "network": case.name,
        "shape": list(case.shape),
        "threads": threads,
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "l2_against_torch": {name: float(f"{value:.2g}") for name, value in apart.items()},
        "l2_of_logits": {name: float(f"{value:.2g}") for name, value in forward.items()},
        ratios: {name: paired(times, *pair) for name, pair in RATIOS[ratios](list(times)).items()},
    }


def measure(quick: bool, rounds: int) -> dict[str, Any]:
    threads = (1,) if quick else (1, 2)
    found: dict[str, Any] = {"machine": basics(), "rounds": rounds, "gradient": [], "gradcam": []}
    parts = (
        ("gradient", gradient_row, graph_cases.QUICK if quick else graph_cases.GRADIENT),
        ("gradcam", cam_row, graph_cases.QUICK if quick else graph_cases.CAM),
    )
    for part, row, cases in parts:
        for case in cases:
            net, model = graph_cases.build(case)
            for count in threads:
                found[part].append(row(case, net, model, count, rounds))
                print(f"{part}: {case.name}, {count} threads, L2 {found[part][-1]['l2_against_torch']}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one tiny network, two rounds, one thread")
    parser.add_argument("--rounds", type=int, default=21, help="rounds per network and thread count")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of graphs_cpu.json")
    options = parser.parse_args(arguments)
    found = measure(options.quick, 2 if options.quick else options.rounds)
    print(f"\n{found['machine']}\n")
    print(table(found["gradient"], "torch_over_engine"), table(found["gradcam"], "map_over_alone"), sep="\n\n")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "graphs_cpu.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
