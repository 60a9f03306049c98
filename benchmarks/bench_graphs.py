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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"  # before torch loads OpenMP: idle threads must not spin beside an engine

import numpy as np

import graph_cases
from graph_cases import GraphCase
from interleaved import ROOT, difference, machine, race, ratio, spread
from layer_fast import graphs
from layer_fast.engines import available_engines, open_engine
from rivals import torch_autograd as rival

AGREE = 2e-2  # L2; a flipped ReLU gate costs up to that, in PyTorch's own float32 too (docs/guides/saliency_graphs.md)
TRIES = 4
Row = dict[str, Any]


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

    def answers(seed: int) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
        rng = np.random.default_rng(seed)
        image = rng.standard_normal(case.shape, np.float32)
        cotangent = rng.standard_normal(rival.forward(net, image).shape, np.float32)
        feeds = {"image": image, "cotangent": cotangent}
        calls = {name: _call(session, feeds, ("logits", "grad_image")) for name, session in sessions.items()}
        calls["torch"] = lambda: rival.forward_gradient(net, image, cotangent)
        wanted = calls["torch"]()[1]
        return calls, {name: difference(calls[name]()[1], wanted) for name in sessions}

    calls, apart = _agreeing(case, answers)
    times = race(calls, rounds)
    ratios = {name: ratio(times, "torch", name) for name in sessions}
    return _row(case, threads, times, apart) | {"torch_over_engine": ratios}


def cam_row(case: GraphCase, net: Any, model: Any, threads: int, rounds: int) -> Row:
    """The classifier alone, the classifier with its map, and Captum for scale."""
    rival.set_threads(threads)
    layer = graphs.find_activations(model)[0]
    plain = opened(model, threads, case.name)
    mapped = opened(graphs.gradcam(model, activation=layer), threads, case.name)

    def answers(seed: int) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
        image = np.random.default_rng(seed).standard_normal(case.shape, np.float32)
        one_hot = np.eye(2, dtype=np.float32)[[1] * case.shape[0]]
        calls = {name: _call(session, {"image": image}, ("logits",)) for name, session in plain.items()}
        for name, session in mapped.items():
            calls[f"{name} + CAM"] = _call(session, {"image": image, "cotangent": one_hot}, ("logits", "cam"))
        calls["torch"] = lambda: rival.forward(net, image)
        calls["torch + Captum"] = lambda: rival.layer_gradcam(net, case.layer, image, 1)
        wanted = calls["torch + Captum"]()
        return calls, {name: difference(calls[f"{name} + CAM"]()[1], wanted) for name in mapped}

    calls, apart = _agreeing(case, answers)
    times = race(calls, rounds)
    pairs = {name: (f"{name} + CAM", name) for name in mapped} | {"torch": ("torch + Captum", "torch")}
    return _row(case, threads, times, apart) | {"map_over_alone": {k: ratio(times, *pair) for k, pair in pairs.items()}}


def _call(session: Any, feeds: dict[str, Any], outputs: tuple[str, ...]) -> Callable[[], Any]:
    return lambda: session.run(feeds, outputs)


def _agreeing(case: GraphCase, answers: Callable[[int], Any]) -> Any:
    """Calls on the first input on which no gate flips; none of a few: the graph is wrong, and nothing is timed."""
    found = {}
    for seed in range(TRIES):
        calls, found = answers(seed)
        if max(found.values()) <= AGREE:
            return calls, found
    raise SystemExit(f"{case.name}: differs from PyTorch by {found} (L2, relative); expected at most {AGREE}")


def _row(case: GraphCase, threads: int, times: Mapping[str, list[float]], apart: Mapping[str, float]) -> Row:
    return {
        "network": case.name,
        "shape": list(case.shape),
        "threads": threads,
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "l2_against_torch": {name: float(f"{value:.2g}") for name, value in apart.items()},
    }


def table(rows: Sequence[Row], ratios: str) -> str:
    """Markdown: medians in ms, 10 to 90 % of the paired ratios."""
    names, ratio_names = list(rows[0]["milliseconds"]), list(rows[0][ratios])
    head = [
        "network",
        "threads",
        *(f"{n} ms" for n in names),
        *(f"{n}: {ratios.replace('_', ' ')}" for n in ratio_names),
    ]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    for row in rows:
        medians = [f"{row['milliseconds'][n]['median']:.4g}" for n in names]
        paired = ["{median:.3g} ({p10:.3g}-{p90:.3g})".format(**row[ratios][n]) for n in ratio_names]
        lines.append([row["network"], str(row["threads"]), *medians, *paired])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def measure(quick: bool, rounds: int) -> dict[str, Any]:
    threads = (1,) if quick else (1, 2)
    found: dict[str, Any] = {"machine": machine(), "rounds": rounds, "gradient": [], "gradcam": []}
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
