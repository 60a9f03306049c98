"""The CUDA twins' times and the sanitizer's verdicts, for the page and for the terminal."""

from __future__ import annotations

from typing import Any

from pages.text import number
from pages.text import table as markdown

Found = dict[str, Any]


def table(held: Found) -> str:
    """The card, who is absent, and one line a case."""
    machine = held["machine"]
    lines = [f"{machine['gpu']}, compute capability {machine['capability']}; copy inside its memory "
             f"{machine['copy_gb_per_s']:g} GB/s; CuPy {machine['cupy']}, PyTorch {machine['torch'] or 'absent'}; "
             f"commit {machine['commit']}."]  # fmt: skip
    lines += [f"Absent: {name}: {why}." for name, why in machine["absent"].items()]
    head = ["case", "how", "ms", "p10-p90", "MB", "GB/s", "of copy", "from the CPU twin", "peers"]
    return "\n\n".join([*lines, markdown(head, [_row(name, entry) for name, entry in held["cases"].items()], left=2)])


def _row(name: str, entry: Found) -> list[str]:
    if "failed" in entry:
        return [name, "", "", "", "", "", "", "", f"**not timed: {entry['failed']}**"]
    ms = entry["ms"]
    return [name, entry["how"], f"{ms['median']:.4g}", f"{ms['p10']:.4g}-{ms['p90']:.4g}", number(entry["moved_mb"]),
            number(entry["gb_per_s"]), f"{entry['of_copy']:.0%}", f"{entry['difference']:.2g}",
            "; ".join(_peer(other, verdict) for other, verdict in entry["peers"].items())]  # fmt: skip


def _peer(name: str, verdict: Found) -> str:
    if "failed" in verdict:
        return f"{name}: not timed: {verdict['failed']} ({verdict['convention']})"
    ms, difference = verdict["ms"], verdict["difference"]
    return f"{name} {ms['median']:.4g} ms ({verdict['convention']}; differs by {difference:.2g})"


def gpu_ops(found: Found) -> str:
    return table(found["gpu_ops"])


def gpu_sanitize(found: Found) -> str:
    """Each tool: did it find the fault planted for it, and what does it say of the twins?"""
    held = found["gpu_sanitize"]
    rows = [[tool, "found" if entry["planted_fault_found"] else "**missed**",
             "clean" if entry["clean"] else "**not clean**"] for tool, entry in held["tools"].items()]  # fmt: skip
    return f"Commit {held['commit'][:12]}.\n\n" + markdown(["tool", "planted fault", "twins"], rows, left=3, right=0)


def gpu_engines(found: Found) -> str:
    """Medians in ms of every contestant whose answer agreed, and how far TensorRT came."""
    held = found["gpu_engines"]
    rows = held["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["milliseconds"]))
    lines = [[row["case"], *(number(row["milliseconds"][n]["median"]) if n in row["milliseconds"] else "-"
                             for n in names)] for row in rows]  # fmt: skip
    cards = ", ".join(gpu["name"] for gpu in held["machine"]["gpus"])
    probe = held["probe"]
    said = f"{cards}; commit {held['machine']['commit']}. TensorRT runs: {probe['runs']} ({probe['message']})."
    return f"{said}\n\n{markdown(['case', *(f'{n} ms' for n in names)], lines, right=0)}" if rows else said
