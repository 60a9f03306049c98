"""The GPU cohort's part of the page, and what its command prints."""

from __future__ import annotations

from typing import Any

from pages.text import number, ratio, table

Found = dict[str, Any]
NUMBERS = {
    "count": "counts", "mean": "means", "std": "deviations", "min": "minima", "max": "maxima", "margin": "margins"
}  # fmt: skip


def gpu_cohort(found: Found) -> str:
    """The part of the page. Raises ValueError for a result that no GPU made, or of small sizes."""
    held = found["gpu_cohort"]
    if held["device"] != "cuda" or held["quick"]:
        raise ValueError("gpu_cohort.json: expected a full run on a GPU, found one of --quick or of the CPU")
    return summary(held)


def summary(held: Found) -> str:
    """Machine, rates, stages, agreement, as far as they are there."""
    parts = [_machine(held)]
    if held["cohort"] is None:
        return "\n\n".join([*parts, "Nothing measured yet."])
    if not held["complete"]:
        parts.append("**Not complete**: the same command goes on.")
    parts += [_engine(held["cohort"]), _rates(held), _stages(held), _agreement(held)]
    return "\n\n".join(part for part in parts if part)


def _machine(held: Found) -> str:
    machine, work = held["machine"], held["workload"]
    cards = ", ".join(f"{gpu['name']} (compute capability {gpu['compute_capability']}, {gpu['memory_gb']} GB)"
                      for gpu in machine["gpus"]) or "**no GPU: the CPU, for a test**"  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    scan, model = ("×".join(map(str, work[key])) for key in ("scan", "model"))
    state = " with uncommitted changes" if machine["uncommitted_changes"] else ""
    return (f"{cards}; {machine['cpu']}, {machine['logical_cores']} cores; "
            f"driver for CUDA {machine['cuda_of_driver']}; Python {machine['python']}; {versions}; "
            f"commit {machine['commit']}{state}.\n\n{held['settings']['rows']} scans of {held['settings']['files']} "
            f"distinct files, {scan} → {model}.")  # fmt: skip


def _engine(cohort: Found) -> str:
    engine, choice = cohort["engine"], cohort["engine_choice"]
    left_out = "".join(f"\n- left out: {name}: {why}" for name, why in choice.get("left_out", {}).items())
    arrays = f", arrays on {engine['arrays']}" if "arrays" in engine else ""
    return (f"Engine: {engine['engine']} ({engine['version']}), {engine['precision']}{arrays}; {choice['why']}; "
            f"batches of {cohort['config']['scan_batch']} scans.{left_out}")  # fmt: skip


def _rates(held: Found) -> str:
    cohort = held["cohort"]
    steady = cohort["scans_per_second"]
    rows = [
        ["layer_fast", _of(steady), "", f"{cohort['scans']}", _of(cohort["peak_device_mb"])],
        ["layer_fast, with start and tables", _of(cohort["whole_scans_per_second"]), "", f"{cohort['scans']}", ""],
    ]
    for side in held["script"].values():
        theirs = side.get("scans_per_second")
        times = ratio(steady / theirs) if steady and theirs else "-"
        rows.append([f"{side['name']}, {side['variant']}", _of(theirs), times, f"{side['scans']}", ""])
    said = f"{cohort['scans']} scans in {number(cohort['seconds'])} s in {cohort['parts']} part(s), tables included."
    if cohort["peak_device_mb"] is not None:
        said += f" MB: the card's memory in use, at most; {_of(cohort['device_mb_before'])} MB of it before."
    why = {side["why_not_monai"] for side in held["script"].values()} - {""}
    not_monai = "".join(f"\n\nThe script is PyTorch's: {reason}." for reason in sorted(why))
    return f"{table(['', 'scans/s', 'layer_fast is', 'scans', 'MB'], rows, right=0)}\n\n{said}{not_monai}"


def _stages(held: Found) -> str:
    cohort, waited = held["cohort"], held["stages"]
    names = list(dict.fromkeys([*cohort["ms_per_scan"], *(waited or {"ms_per_scan": {}})["ms_per_scan"]]))
    rows = [[name, _of(cohort["ms_per_scan"].get(name)), _of((waited or {}).get("ms_per_scan", {}).get(name))]
            for name in names]  # fmt: skip
    lines = [table(["stage", "ms a scan, all lanes", "ms a scan, one lane, each kernel waited for"], rows, right=0)]
    said = f"Longest in the run: {cohort['bottleneck']}"
    if waited:
        said += f"; **bottleneck with one lane: {waited['bottleneck']}** ({number(waited['seconds'])} s for "
        said += f"{waited['scans']} scans{'' if waited['waited'] else '; kernels were not waited for'})"
    lines.append(said + ". In the run the host's seconds are summed over lanes, and work on the GPU counts where the "
                        "host waits for it; read is what lanes waited for scans, read.ahead what the reading threads "
                        "spent.")  # fmt: skip
    for side in held["script"].values():
        if "stages_ms" in side:
            stages = ", ".join(f"{name} {number(ms)}" for name, ms in side["stages_ms"].items())
            lines.append(f"{side['name']}, {side['variant']}: {stages} ms (medians).")
    return "\n\n".join(lines)


def _agreement(held: Found) -> str:
    lines = []
    for side in held["script"].values():
        verdict = side["agreement"]
        state = "agrees" if verdict["agrees"] else "**differs, hence no time**"
        apart = ", ".join(f"{what} {_of(verdict[name], 'incomparable')}" for name, what in NUMBERS.items())
        lines.append(f"- {side['name']}, {side['variant']}: {state} over {verdict['scans']} scans: {apart} "
                     f"(largest difference, relative; allowed {verdict['tolerance']:g}).")  # fmt: skip
    return "\n".join(lines)


def _of(value: float | None, absent: str = "-") -> str:
    return absent if value is None else number(value) if value == 0 or abs(value) >= 1e-2 else f"{value:.2g}"
