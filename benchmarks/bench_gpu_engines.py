"""Engines on a GPU: TensorRT beside ONNX Runtime on the CPU, torch eager and torch.compile; answers before times.

    make gpu-engines      all cases that are not in the results file yet; none begins after 5 minutes
    PYTHONPATH=python python benchmarks/bench_gpu_engines.py --out FILE    (--minutes N, --no-compile, --fresh)

TensorRT comes from pip, or on a machine that reaches no registry from an archive of its libraries and bindings that was
unpacked beforehand: LAYER_FAST_TRT_SITE names the folder for make (docs/guides/gpu.md). Needs numpy, onnx,
onnxruntime, torch with CUDA, and CuPy if TensorRT is to be fed by it; the native module is not needed. The probe's
outcome, with the exact words, is the first thing written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from measuring.machine import ROOT, basics
from measuring.turns import spread, take_turns
from measuring.verify import relative_l2
from on_gpu import engine_rivals, probe
from pages.text import table
from quiet_export import to_onnx

RESULT = ROOT / "benchmarks" / "results" / "gpu_engines.json"
KINDS = ("forward", "gradcam", "gradient")
LIMIT = {"float32": 2e-2, "half": 5e-2}  # L2 of map or gradient; a flipped gate costs up to that
LOGITS_LIMIT = {"float32": 1e-3, "half": 2e-2}
OUTPUTS = {"forward": ("logits",), "gradcam": ("logits", "cam"), "gradient": ("logits", "grad_image")}


@dataclass(frozen=True)
class Case:
    network: str
    side: int
    batch: int
    kind: str

    @property
    def name(self) -> str:
        return f"{self.network} {self.side}³, {self.kind}, batch {self.batch}"


def cases() -> list[Case]:
    """Small batches of large inputs first: what a run does."""
    sizes = (("ResNet-10", 64, (1, 4, 16)), ("ResNet", 48, (1, 4, 16)), ("ResNet-10", 128, (1, 4)))
    return [Case(net, side, batch, kind) for net, side, batches in sizes for batch in batches for kind in KINDS]


def network(name: str, side: int) -> tuple[Any, Any]:
    """The module, seeded, and its ONNX graph with an open batch; exported by tracing, which needs no onnxscript."""
    import torch

    from rivals import torch_networks

    torch.manual_seed(1)
    net = (engine_rivals.resnet10() if name == "ResNet-10" else torch_networks.resnet()).eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return net, to_onnx(net, torch.zeros(2, 1, side, side, side), dims={0: "batch"}, tracing=True)


def graph_of(model: Any, kind: str) -> bytes:
    from layer_fast import graphs

    if kind == "forward":
        return bytes(model.SerializeToString())
    if kind == "gradient":
        return bytes(graphs.gradient(model).SerializeToString())
    return bytes(graphs.gradcam(model, activation=graphs.find_activations(model)[0]).SerializeToString())


def contestants(case: Case, net: Any, graph: bytes, feeds: dict[str, Any], options: Any) -> Iterator[tuple[str, Any]]:
    """(name, maker of the call). Ours first; "half" in a name is half precision."""
    from layer_fast.engines import Sizes, open_engine

    outputs, threads = OUTPUTS[case.kind], os.cpu_count() or 1
    sizes = Sizes(case.batch, case.batch, (case.side,) * 3)

    def ours(name: str, device: str, precision: str = "float32") -> Callable[[], Any]:
        engine = open_engine(
            name, graph, threads=threads, label=case.name, precision=precision, device=device, sizes=sizes
        )
        given = {k: options.to_device(v) for k, v in feeds.items()} if device == "cuda" else feeds
        return lambda: options.wait(engine.run(given, outputs))

    for precision, words in (("float16", "tensorrt half"), ("float32", "tensorrt")):
        if options.tensorrt and not (precision == "float16" and case.kind == "gradient"):
            yield words, lambda precision=precision: ours("tensorrt", "cuda", precision)
    yield "layer_fast torch", lambda: ours("torch", "cuda")
    yield "onnxruntime CUDA", lambda: ours("onnxruntime", "cuda")
    yield "onnxruntime CPU", lambda: ours("onnxruntime", "cpu")
    for compiled in (False, True) if options.compile else (False,):
        for half in (False, True) if case.kind != "gradient" else (False,):
            words = f"{'torch.compile' if compiled else 'torch eager'}{' half' if half else ''}"
            yield (
                words,
                lambda compiled=compiled, half=half: engine_rivals.calls(
                    net, feeds["image"], case.kind, compiled=compiled, half=half
                ),
            )


def measure(case: Case, options: Any) -> dict[str, Any]:
    """Every contestant's answer against ONNX Runtime on the CPU, then the times of those that agree, in turns."""
    from layer_fast.engines import open_engine

    net, model = options.network(case.network, case.side)
    graph = graph_of(model, case.kind)
    feeds = {"image": np.random.default_rng(3).random((case.batch, 1, *(case.side,) * 3), np.float32)}
    if case.kind != "forward":
        feeds["cotangent"] = np.eye(2, dtype=np.float32)[[1] * case.batch]
    reference = open_engine("onnxruntime", graph, threads=os.cpu_count() or 1, label=case.name)
    expected = reference.run(feeds, OUTPUTS[case.kind])
    ready, apart, left_out, first = {}, {}, {}, {}
    for name, make in contestants(case, net, graph, feeds, options):
        try:
            call = make()
            call()
            start = time.perf_counter()
            found = engine_rivals.to_numpy(call())
            first[name] = time.perf_counter() - start
        except Exception as error:
            left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
            continue
        apart[name] = [float(f"{relative_l2(a, b):.2g}") for a, b in zip(found, expected, strict=True)]
        kind = "half" if name.endswith("half") else "float32"
        limits = (LOGITS_LIMIT[kind], LIMIT[kind])
        if not all(a <= limit for a, limit in zip(apart[name], limits, strict=False)):  # NaN never agrees
            left_out[name] = f"differs by {apart[name]} (L2, relative), limits {limits}"
            continue
        ready[name] = call
    times = take_turns(ready, options.rounds, seconds=options.seconds, known=first)
    return {
        "case": case.name, "network": case.network, "shape": list(feeds["image"].shape), "kind": case.kind,
        "milliseconds": {name: spread(values) for name, values in times.items()}, "l2": apart, "left_out": left_out,
    }  # fmt: skip


def text(rows: Sequence[dict[str, Any]]) -> str:
    """Medians in ms; a contestant that is missing or wrong has none."""
    names = list(dict.fromkeys(name for row in rows for name in row["milliseconds"]))
    head = ["case", *(f"{name} ms" for name in names)]
    lines = [
        [row["case"], *(f"{row['milliseconds'][n]['median']:.4g}" if n in row["milliseconds"] else "" for n in names)]
        for row in rows
    ]
    return table(head, lines, right=0) if rows else "nothing measured"


def _arrays(options: Any) -> None:
    """How feeds come to the GPU and when a call has ended."""
    import torch

    try:
        import cupy

        options.to_device = cupy.asarray
    except ImportError:
        options.to_device = lambda array: torch.from_numpy(array).cuda()

    def wait(results: Any) -> Any:
        torch.cuda.synchronize()
        return tuple(results)

    options.wait = wait


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--minutes", type=float, default=5.0, help="no case begins after so many")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one contestant of a case")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    parser.add_argument("--fresh", action="store_true", help="measure again what the file holds")
    options = parser.parse_args(arguments)
    end = time.monotonic() + 60 * options.minutes
    found = probe.in_own_process()
    print(f"TensorRT runs on this card: {found['runs']}: {found['message']}", flush=True)
    held = {} if options.fresh or not options.out.exists() else json.loads(options.out.read_text())
    rows = {row["case"]: row for row in held.get("rows", [])}
    machine = basics() | {"gpus": found.get("gpu", {}).get("gpus", [])}
    if held and held["machine"]["gpus"] != machine["gpus"]:
        print(f"{options.out} is of another GPU; --fresh measures it anew, --out names another file", file=sys.stderr)
        return 1
    if not machine["gpus"]:
        print(found.get("gpu", {}).get("missing") or found["message"], file=sys.stderr)
        return 1
    write(options.out, machine, found, rows)
    return _run(options, end, machine, found, rows)


def _run(
    options: Any, end: float, machine: dict[str, Any], found: dict[str, Any], rows: dict[str, dict[str, Any]]
) -> int:
    from functools import cache

    engine_rivals.exact()
    _arrays(options)
    options.tensorrt, options.network = found["runs"], cache(network)
    todo = [case for case in cases() if case.name not in rows]
    for case in todo:
        if time.monotonic() > end:
            print(f"time is up with {sum(c.name not in rows for c in todo)} cases left: the same command goes on")
            break
        rows[case.name] = measure(case, options)
        write(options.out, machine, found, rows)
        print(case.name, {n: v["median"] for n, v in rows[case.name]["milliseconds"].items()}, flush=True)
    print(f"\n{text(list(rows.values()))}")
    return 0


def write(path: Path, machine: dict[str, Any], found: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    held = {"machine": machine, "probe": found, "rows": list(rows.values())}
    part.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
