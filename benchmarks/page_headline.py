"""The headline workload's part of the page."""

from __future__ import annotations

from typing import Any

from page_text import brief, number, ratio, table

GROUPS = ("read", "prepare", "segment", "explain", "measure")
Found = dict[str, Any]


def headline(found: Found) -> str:
    """By thread count: medians of the groups and the total, then the stages, agreement, memory."""
    held = found["headline"]
    work = held["workload"]
    scan, model = ("×".join(map(str, work[key])) for key in ("scan", "model"))
    flops = ", ".join(f"{name} {value:g} GFLOP" for name, value in work["gigaflops"].items())
    parts = [brief(held["machine"]), f"{held['scans']} scans {scan} → {model}; {flops}. Medians in ms."]
    for threads, part in held["threads"].items():
        parts.append(f"**{threads} thread{'s' * (threads != '1')}**")
        parts.append(_groups(part, held.get("warm", {}).get(threads, {}), held.get("memory_mb", {})))
        parts.append(_stages(part))
        parts.append(_notes(part))
    return "\n\n".join(parts)


def _groups(part: Found, warm: Found, memory: Found) -> str:
    rows = []
    for name, side in part["sides"].items():
        total = side["total"]
        shown = f"{number(total['median'])} ({number(total['p10'])}-{number(total['p90'])})"
        faster = "" if name == "monai" else ratio(side["times_faster"]["median"])
        other = warm.get("sides", {}).get(name)
        again = "" if name == "monai" else ratio(other["times_faster"]["median"]) if other else "-"
        held = memory.get(name, {})
        peak = f"{held.get('open', '-')} + {held.get('scan', '-')}"
        rows.append([side["name"], *(number(side["groups"][g]["median"]) for g in GROUPS), shown, faster, again, peak])
    return table(["", *GROUPS, "total", "times faster", "warm heap", "MB open + for a scan"], rows)


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
            f"- {name} {state} with the script: labels in {100 * verdict['labels_agree']:.4g} % of the voxels; largest "
            f"difference of means {verdict['mean']:.2g}, counts {verdict['count']:.2g}, scores {verdict['score']:.2g} "
            f"(relative; means and scores may differ by {verdict['tolerance']:g})."
        )
    lines += [f"- {name}: not run: {why}" for name, why in part["missing"].items()]
    other = ", ".join(f"{stage} {number(ms)} ms" for stage, ms in part["monai_otherwise_ms"].items())
    lines.append(f"- The script's stages as others write them (not in its total): {other}.")
    return "\n".join(lines)
