"""Sentences of the README whose numbers come from the results files; a test holds the README against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cases import all_cases
from pages import evidence as page_evidence
from pages import graphs as page_graphs
from pages import headline as page_headline
from rivals import NAMES

Found = dict[str, Any]
ENGINES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def headline(found: Found) -> str:
    """The first thread count that was measured, with both heaps."""
    threads = next(iter(found["threads"]))
    cold, warm = (found[heap][threads] for heap in ("threads", "warm"))
    ours, again = (" and ".join(_side(part, name) for name in ENGINES) for part in (cold, warm))
    return (
        f"{ours} times as fast in {' and '.join(ENGINES.values())}, {again} times with a heap that keeps what is freed "
        f"({found['scans']} scans, {threads} threads; medians, in brackets scan by scan)"
    )


def _side(part: Found, name: str) -> str:
    by_scan = part["sides"][name]["times_faster"]
    return f"{page_headline.faster(part, name):.1f} ({by_scan['p10']:.1f} to {by_scan['p90']:.1f})"


def gradients(found: Found) -> str:
    """Least and most by network and thread count."""
    spans = {name: _span(_medians(found["gradient"], "torch_over_engine", name)) for name in ENGINES}
    return f"{spans['onnxruntime']} times as fast in ONNX Runtime, {spans['openvino']} in OpenVINO"


def maps(found: Found) -> str:
    rows = found["gradcam"]
    spans = {name: _span(_medians(rows, "map_over_alone", name), ".2f") for name in ENGINES}
    rounds = [row["map_over_alone"][name][end] for row in rows for name in ENGINES for end in ("p10", "p90")]
    return (
        f"{spans['onnxruntime']} times the ResNet alone in ONNX Runtime, {spans['openvino']} in OpenVINO "
        f"(10 to 90 % of the rounds: {_span(rounds, '.2f')})"
    )


def _medians(rows: Iterable[Found], ratios: str, name: str) -> Iterator[float]:
    for row in rows:
        yield page_graphs.ratio(row, *page_graphs.RATIOS[ratios](list(row["milliseconds"]))[name])


def _span(values: Iterable[float], digits: str = ".2g") -> str:
    known = list(values)
    least, most = (f"{v:.0f}" if v >= 100 and digits == ".2g" else f"{v:{digits}}" for v in (min(known), max(known)))
    return f"{least} to {most}"  # not 1.3e+02, and 0.6 stays 0.6 beside it


def operations(found: Found) -> list[str]:
    """A row of a table for each operation of the headline workload: its rivals that have a goal, and least and most of
    both thread counts and heaps."""
    rows = []
    for case in found["cases"].values():
        if not case["headline"]:
            continue
        timed = [turns for heap in case["heaps"].values() for turns in heap.values()]
        rivals = [name for name in case["goals"] if not name.startswith("plain")]  # those are limits
        spans = (f"{name} {_span(turns[name]['ratio'] for turns in timed)}" for name in rivals)
        if rivals:
            rows.append(f"| {case['title']} | {'; '.join(spans)} |")
    return rows


def evidence(found: Found) -> str:
    """What the tables of a large cohort cost after its run."""
    whole, cohort = page_evidence.whole(found), f"{found['scans']:,} scans of {found['subjects']} subjects"
    return f"{cohort}: {whole['wall_s']:.0f} s and {whole['peak_mib']} MiB"


def counts() -> str:
    """Plain reading and copying by NumPy is a limit, not a rival."""
    return f"{len(all_cases())} cases and {len(set(NAMES) - {'memory'})} rivals"
