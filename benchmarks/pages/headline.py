"""The headline workload's part of the page."""

from __future__ import annotations

from typing import Any

from pages.text import brief, number, ratio, table

NUMBERS = {
    "count": "counts", "mean": "means", "std": "deviations", "min": "minima", "max": "maxima", "score": "scores"
}  # fmt: skip
GROUPS = ("read", "prepare", "segment", "explain", "measure")
Found = dict[str, Any]


def headline(found: Found) -> str:
    """By thread count: medians of the groups and the total, then the stages, agreement, memory."""
    held = found["headline"]
    work = held["workload"]
    scan, model = ("×".join(map(str, work[key])) for key in ("scan", "model"))
    flops = ", ".join(f"{name} {value:g} GFLOP" for name, value in work["gigaflops"].items())
    said = "Medians in ms; times faster: median total over median total, in brackets 10 to 90 % of the scans' ratios."
    parts = [brief(held["machine"]), f"{held['scans']} scans {scan} → {model}; {flops}. {said}"]
    for threads, part in held["threads"].items():
        parts.append(f"**{threads} thread{'s' * (threads != '1')}**")
        parts.append(_groups(part, held.get("warm", {}).get(threads, {}), held.get("memory_mb", {})))
        parts.append(_stages(part))
        parts.append(_notes(part))
    return "\n\n".join(parts)


def faster(part: Found, name: str) -> float:
    """The script's median total over this side's."""
    sides = part["sides"]
    return float(sides["monai"]["total"]["median"] / sides[name]["total"]["median"])


def _faster(part: Found, name: str) -> str:
    if name == "monai":
        return ""
    if name not in part.get("sides", {}):
        return "-"
    by_scan = part["sides"][name]["times_faster"]
    return f"{ratio(faster(part, name))} ({number(by_scan['p10'])}-{number(by_scan['p90'])})"


def _groups(part: Found, warm: Found, memory: Found) -> str:
    memory = {name: held for name, held in memory.items() if "failed" not in held}
    rows = []
    for name, side in part["sides"].items():
        total = side["total"]
        shown = f"{number(total['median'])} ({number(total['p10'])}-{number(total['p90'])})"
        held = memory.get(name, {})
        peak = [f"{held.get('open', '-')} + {held.get('scan', '-')}"] if memory else []
        groups = [number(side["groups"][group]["median"]) for group in GROUPS]
        rows.append([side["name"], *groups, shown, _faster(part, name), _faster(warm, name), *peak])
    head = ["", *GROUPS, "total", "times faster", "warm heap", *["MB open + for a scan"] * bool(memory)]
    return table(head, rows, right=0)


def _stages(part: Found) -> str:
    rows = [
        [side["name"], stage, number(ms["median"]), f"{number(ms['p10'])}-{number(ms['p90'])}"]
        for side in part["sides"].values()
        for stage, ms in side["stages"].items()
    ]
    inner = table(["side", "stage", "ms", "10-90 %"], rows, left=2)
    return f"<details><summary>Stage by stage</summary>\n\n{inner}\n\n</details>"


def _notes(part: Found) -> str:
    lines = []
    for name, verdict in part["agreement"].items():
        state = "agrees" if verdict["agrees"] else "**differs, hence no time**"
        lines.append(
            f"- {name} {state} with the script: labels in {100 * verdict['labels_agree']:.6g} % of the voxels; largest "
            f"difference of {', '.join(f'{what} {verdict[key]:.2g}' for key, what in NUMBERS.items())} "
            f"(relative; allowed {verdict['tolerance']:g})."
        )
    lines += [f"- {name}: not run: {why}" for name, why in part["missing"].items()]
    other = ", ".join(f"{stage} {number(ms)} ms" for stage, ms in part["monai_otherwise_ms"].items())
    lines.append(f"- The script's stages as others write them (not in its total): {other}.")
    return "\n".join(lines)
