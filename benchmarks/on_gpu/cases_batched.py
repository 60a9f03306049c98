"""Several scans at the networks' size: one call where the op takes a leading batch axis, else calls on one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from layer_fast import ops
from on_gpu.agreement import apart
from on_gpu.case import LAYERS, Case, Kit, blocks, on_host, to_host

SCANS = 8
SHARED = ("weighted", "edges", "histogram_low")  # fields of statistics that do not grow with the scans
Op = Callable[..., Any]


def takes_a_batch(op: Op, arrays: Sequence[Any], arguments: Sequence[Any], options: dict[str, Any]) -> bool:
    """Whether one call on two scans is not refused and gives, scan by scan, what two calls give."""
    first = [array[:2] for array in arrays]
    try:
        whole = op(*first, *arguments, **options)
    except (ValueError, TypeError):
        return False
    each = [op(*(array[i] for array in first), *arguments, **options) for i in range(2)]
    return apart(numbers([to_host(whole)]), numbers([to_host(one) for one in each])) == 0


def numbers(results: Sequence[Any]) -> Any:
    """All results one after another, flat: of arrays one array, of statistics one for each field."""
    if not hasattr(results[0], "__dataclass_fields__"):
        return np.concatenate([np.ravel(one) for one in results])
    first = results[0]
    names = [name for name in first.__dataclass_fields__ if name not in SHARED and getattr(first, name) is not None]
    return tuple(np.concatenate([np.ravel(getattr(one, name)) for one in results]) for name in names)


def several(name: str, moved: int, op: Op, arrays: Sequence[Any], *arguments: Any, out: Any = None,
            tolerance: float = 1e-6, **options: Any) -> Case:  # fmt: skip
    """arrays: each (scans, ...). The batched call and the loop give the same numbers, compared with the CPU's."""
    count = len(arrays[0])

    def given(part: Any) -> dict[str, Any]:
        return {} if out is None else {"out": part}

    def loop() -> list[Any]:
        return [op(*(a[i] for a in arrays), *arguments, **options, **given(out[i] if out is not None else None))
                for i in range(count)]  # fmt: skip

    def wanted() -> list[Any]:
        return [on_host(op, [*(a[i] for a in arrays), *arguments], options) for i in range(count)]

    if takes_a_batch(op, arrays, arguments, options):
        return Case(
            name, moved, lambda: op(*arrays, *arguments, **options, **given(out)), lambda: numbers(wanted()), tolerance,
            how="one call of a batch", view=lambda one: numbers([one]),
        )  # fmt: skip
    how = f"{count} calls on one stream"
    return Case(name, moved, loop, lambda: numbers(wanted()), tolerance, how=how, view=numbers)


def batched(kit: Kit) -> Iterator[Case]:
    xp, rng, net = kit.xp, kit.rng(), kit.net
    scans, rows = (rng.random((SCANS, *net), dtype=np.float32) * 255).astype(np.uint8), LAYERS + 1
    labels = xp.stack([xp.roll(blocks(kit, net), 3 * i, axis=1) for i in range(SCANS)])
    made = xp.empty((SCANS, *net), np.float32)
    half = tuple(n // 2 for n in net)
    maps = rng.random((SCANS, *net), dtype=np.float32)
    few = f"{SCANS} x {net}"
    source = rng.random((SCANS, *half), dtype=np.float32)
    yield several(f"resample linear {SCANS} x {half} to {net}", source.nbytes + made.nbytes, ops.resample, [source],
                  net, out=made)  # fmt: skip
    yield several(f"normalize window uint8 {few}", scans.nbytes + made.nbytes, ops.normalize, [scans],
                  method="window", window=(20, 200), out=made)  # fmt: skip
    yield several(f"intensity_stats uint8 {few}", scans.nbytes, ops.intensity_stats, [scans])
    yield several(f"layer_reduce {few}, a mask each", maps.nbytes + labels.nbytes, ops.layer_reduce, [maps, labels],
                  num_layers=LAYERS)  # fmt: skip
    shares = xp.empty((SCANS, rows, *half), np.float32)
    yield several(f"resample_labels fraction {few} to half", labels.nbytes + shares.nbytes, ops.resample_labels,
                  [labels], half, mode="fraction", num_labels=rows, out=shares)  # fmt: skip
    logits, found = rng.random((SCANS, rows, *half), dtype=np.float32), xp.empty((SCANS, *net), np.uint8)
    yield several(f"argmax_resample {SCANS} x {half} to {net}", logits.nbytes + found.nbytes, ops.argmax_resample,
                  [logits], net, out=found, tolerance=0.0)  # fmt: skip
    size = tuple(max(1, n // 16) for n in net)
    yield several(f"layer_weights {few} for {size}", labels.nbytes + SCANS * rows * int(np.prod(size)) * 8,
                  ops.layer_weights, [labels], size, num_layers=LAYERS)  # fmt: skip
