"""The tables of benchmarks/README.md from the JSON files; the text between them is written by hand and kept.

    python benchmarks/page.py            write the tables between the page's markers
    python benchmarks/page.py --check    exit 1 where the page does not say what the files say

A part begins with `<!-- generated: NAME -->` and ends with `<!-- end: NAME -->`; NAME is machine, headline, gpu_cohort,
gpu_ops, gpu_sanitize, gpu_engines, goals, rules, ops, graphs or evidence. Without its file a part says that it was not
run yet.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pages.evidence import evidence
from pages.gpu_cohort import gpu_cohort
from pages.gpu_ops import gpu_engines, gpu_ops, gpu_sanitize
from pages.graphs import graphs
from pages.headline import headline
from pages.text import facts, number, ratio, table

HERE = Path(__file__).resolve().parent
FILES = {name: f"{name}_cpu.json" for name in ("ops", "headline", "graphs", "evidence")}
FILES |= {name: f"{name}.json" for name in ("gpu_cohort", "gpu_ops", "gpu_sanitize", "gpu_engines")}
OURS = "layer_fast"
FAULTS = 200
SLOWER = 1.1  # below that it is noise
Found = dict[str, Any]


def machine(found: Found) -> str:
    """Where and with what the numbers of the ops were made, and who is missing."""
    ops = found["ops"]
    lines = [facts(ops["machine"]), "", "| library | version | threads |", "| --- | --- | --- |"]
    for name, rival in ops["rivals"].items():
        version = rival.get("version") or f"missing: {rival['missing']}"
        lines.append(f"| {name} | {version} | {'set' if rival.get('threaded') else 'one'} |")
    return "\n".join(lines)


def goals(found: Found) -> str:
    """Every goal with what was measured: the worst over heaps and threads decides."""
    rows = []
    for case in _cases(found):
        for rival, (least, aim) in case["goals"].items():
            cells = [_ratio(case, heap, threads, rival) for heap in ("default", "warm") for threads in ("1", "2")]
            known = [cell for cell in cells if cell is not None]
            limit = rival.startswith("plain") or rival.startswith("layer_fast, layered")
            state = _state(min(known), least, aim) if known else "not measured"
            shown = [ratio(cell) if cell is not None else "-" for cell in cells]
            mark = "• " if case["headline"] else ""
            rows.append([f"{mark}{case['title']}", rival, _goal(least, limit), _goal(aim, limit), *shown, state])
    head = ["task", "against", "at least", "aim", "1 thread", "2 threads", "1, warm heap", "2, warm heap", "reached"]
    return table(head, rows, left=2)


def _goal(value: float, part: bool) -> str:
    return f"{value:g} of it" if part else f"{value:g}x"


def _state(worst: float, least: float, aim: float) -> str:
    return "aim" if worst >= aim else "yes" if worst >= least else "**no**"


def _ratio(case: Found, heap: str, threads: str, rival: str) -> float | None:
    row = case["heaps"].get(heap, {}).get(threads, {}).get(rival)
    return None if row is None else float(row["ratio"])


def rules(found: Found) -> str:
    """What holds for every op, by its second call, its memory and its threads."""
    rows = []
    for case in _cases(found):
        by_threads = {n: timed[OURS] for n, timed in case["heaps"]["default"].items()}
        ms = [row["ms"]["median"] for row in by_threads.values()]
        faults = max(row["minor_faults"] for row in by_threads.values())
        extra, allowed = case["extra_mb"][OURS], 1.0 * max(map(int, by_threads)) + case["result_mb"]
        broken = [
            f"{faults} faults" if faults >= FAULTS and not case["result_mb"] else "",
            f"{extra:g} MB" if extra is not None and extra > allowed else "",
            "slower with threads" if ms[-1] > SLOWER * ms[0] else "",
        ]
        said = ", ".join(f"**{text}**" for text in broken if text) or "kept"
        memory = "-" if extra is None else f"{extra:g}"
        rows.append([case["title"], *map(number, ms), str(faults), memory, f"{case['result_mb']:g}", said])
    head = ["case", *(f"{n} thread{'s' * (n != '1')}, ms" for n in _threads(found))]
    return table([*head, "faults", "extra MB", "of it result", "rules"], rows)


def _threads(found: Found) -> list[str]:
    return [n for case in _cases(found)[:1] for n in case["heaps"]["default"]]


def ops(found: Found) -> str:
    """One table for each case: all contestants, ms with spread, ratios, memory, agreement, convention."""
    return "\n\n".join(_case(name, case) for name, case in found["ops"]["cases"].items())


def _case(name: str, case: Found) -> str:
    if "failed" in case:
        return f"**{name}**: not timed: {case['failed']}"
    default, warm = case["heaps"]["default"], case["heaps"].get("warm", {})
    labels = [OURS, *(label for label in case["verification"] if label != "oracle")]
    rows = [[label, *_cells(label, default, warm), _memory(case, label), *_agreement(case, label)] for label in labels]
    times = [f"{n} thread{'s' * (n != '1')}, ms" for n in default]
    heads = [cell for head in times for cell in (head, "ratio", "warm")]
    head = ["", *heads, "extra MB", "differs by", "convention"]
    summary = f"<details><summary>{_summary(name, case)}</summary>"
    return "\n\n".join((summary, table(head, rows), _below(case), "</details>"))


def _summary(name: str, case: Found) -> str:
    ours = {n: found[OURS]["ms"]["median"] for n, found in case["heaps"]["default"].items()}
    return f"{case['title']} ({name}): " + ", ".join(f"{number(ms)} ms with {n}" for n, ms in ours.items())


def _below(case: Found) -> str:
    parts = [f"Convention: {case['convention']}.", f"{case['note'].capitalize()}." if case["note"] else ""]
    for n, found in case["heaps"]["default"].items():
        ours, speed = found[OURS], case["bandwidth"][n]
        parts.append(
            f"{n} thread{'s' * (n != '1')}: moves {case['moved_bytes'] / 1e6:.4g} MB at {ours['gb_per_s']:.3g} GB/s; "
            f"plain read {speed['read']:.3g}, plain copy {speed['copy']:.3g} GB/s; "
            f"{ours['minor_faults']} minor page faults."
        )
    return " ".join(part for part in parts if part)


def _cells(label: str, default: Found, warm: Found) -> list[str]:
    cells = []
    for threads, found in default.items():
        row, other = found.get(label), warm.get(threads, {}).get(label)
        if row is None:
            cells += ["-", "-", "-"]
            continue
        ms = row["ms"]
        single = f" (n = {row['rounds']})" if row["rounds"] < 3 else ""
        shown = f"{number(ms['median'])} ({number(ms['p10'])}-{number(ms['p90'])}){single}"
        cells += [shown, ratio(row.get("ratio")), ratio(other.get("ratio")) if other else "-"]
    return cells


def _memory(case: Found, label: str) -> str:
    value = case["extra_mb"].get(label)
    return "-" if value is None else f"{value:.4g}"


def _agreement(case: Found, label: str) -> list[str]:
    verdict = case["verification"].get("oracle" if label == OURS else label)
    if verdict is None:
        return ["-", "-"]
    text = [verdict["convention"] if label != OURS else "against the oracle", verdict.get("note", "")]
    text += [f"without {', '.join(verdict['lacks'])}"] if verdict["lacks"] else []
    text += [f"{verdict['border_left_out']} voxels of border not compared"] if verdict.get("border_left_out") else []
    text += [] if verdict["agrees"] else [f"**not timed: {verdict.get('failed', 'differs')}**"]
    return ["-" if "failed" in verdict else f"{verdict['difference']:.2g}", "; ".join(part for part in text if part)]


def _cases(found: Found) -> list[Found]:
    cases = [case for case in found["ops"]["cases"].values() if "failed" not in case]
    return sorted(cases, key=lambda case: not case["headline"])


PARTS: dict[str, tuple[str, Callable[[Found], str]]] = {
    "machine": ("ops", machine),
    "headline": ("headline", headline),
    "gpu_cohort": ("gpu_cohort", gpu_cohort),
    "gpu_ops": ("gpu_ops", gpu_ops),
    "gpu_sanitize": ("gpu_sanitize", gpu_sanitize),
    "gpu_engines": ("gpu_engines", gpu_engines),
    "goals": ("ops", goals),
    "rules": ("ops", rules),
    "ops": ("ops", ops),
    "graphs": ("graphs", graphs),
    "evidence": ("evidence", lambda found: evidence(found["evidence"])),
}


def fill(page: str, found: Found) -> str:
    """The page with every marked part made anew. Raises ValueError for a part nobody knows or without its end."""
    for name in re.findall(r"<!-- generated: (\S+) -->", page):
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if name not in PARTS or page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"part {name!r}: expected one of {', '.join(PARTS)}, once, with one end marker")
        source, make = PARTS[name]
        text = make(found) if source in found else f"Not run yet: no {FILES[source]}."
        head, rest = page.split(begin)
        page = f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON files")
    parser.add_argument("--page", type=Path, default=HERE / "README.md")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    paths = {name: options.results / file for name, file in FILES.items()}
    found = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    before = options.page.read_text()
    after = fill(before, found)
    if options.check:
        sys.exit(f"{options.page} is not what the files say: run benchmarks/page.py" if before != after else 0)
    options.page.write_text(after)


if __name__ == "__main__":
    main()
