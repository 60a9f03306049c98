"""Each part's results as Markdown. Shares stand with their exact one-sided 95 % limit on the side that matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..types import LAYERS, SETUPS

Found = dict[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def words(name: str) -> str:
    return name.replace("_", " ")


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"


def least(share: Found) -> str:
    """Hits of how many, and the share that the truth is not below."""
    return f"{share['hits']} of {share['of']} (≥ {percent(share['lower'])})"


def most(share: Found) -> str:
    """Hits of how many, and the share that the truth is not above."""
    return f"{share['hits']} of {share['of']} (≤ {percent(share['upper'])})"


def verdict(holds: bool) -> str:
    return "yes" if holds else "**no**"


def frozen(files: dict[str, Found]) -> str:
    rows = []
    for part, found in files.items():
        if "identity" not in found:
            continue
        known, done = found["identity"], "yes" if found["complete"] else "**no**"
        hours = sum(found["seconds"].values()) / 60.0
        rows.append([part, known["rule_sha256"], known["layer_shapley"], str(known["result_version"]),
                     found["commit"] or "not given", done, f"{hours:.0f}"])  # fmt: skip
    head = ["part", "rule", "definition layer_shapley", "result version", "commit", "complete", "minutes of one core"]
    return table(head, rows) if rows else "Not run yet with this version."


def tool(found: Found) -> str:
    cells, goal = found["summary"], 0.95
    rows = []
    for kind in ("mean", "texture"):
        for layer in LAYERS:
            of = [cells[f"{kind}:{layer}:{setup}"]["first"] for setup in SETUPS if f"{kind}:{layer}:{setup}" in cells]
            asked = verdict(all(one["hits"] >= goal * one["of"] for one in of))
            rows.append([kind, words(layer), *map(least, of), asked])
    parts = [table(["reader", "driver", *SETUPS, "≥ 95 %"], rows)]
    lines = [_reader_line(kind, cells[kind]) for kind in ("mean", "texture") if kind in cells]
    if "mean" in cells:
        lines.append(f"- mean readers under `layer_mean`: largest |φ| of any player {cells['mean']['layer_mean']:.1g}.")
    if "geometry" in cells:
        one = cells["geometry"]
        claims = one["claims"]
        lines.append(f"- geometry readers: a layer named in {most(one['named'])}; largest |φ| {one['nonzero']:g}; by "
                     f"the whole rule in {claims['driver'] + claims['other']} of {claims['cohorts']}.")  # fmt: skip
    return "\n\n".join([*parts, "\n".join(lines)])


def _reader_line(kind: str, one: Found) -> str:
    claims, missed = one["claims"], one["first"]["of"] - one["first"]["hits"]
    return (
        f"- {kind} readers, all cells: {least(one['first'])}. Of the other {missed} cohorts {one['by_chance']} have a "
        f"driver that reads no higher in the cases: there was nothing to find. Largest |φ| of a player that is not "
        f"read: {one['nonzero']:g}. Largest difference from the reading in float64: {one['disagreement']:.1g} logits. "
        f"Whole rule on {claims['cohorts']} cohorts: driver named in {claims['driver']}, another layer in "
        f"{claims['other']}."
    )


def trained(found: Found) -> str:
    summary = found["summary"]
    demanded = [
        [str(one["subjects"]), f"{one['oracle_auc']:.3f}", least(one["right"]), most(one["wrong"]),
         verdict(one["right"]["of"] > 0 and one["right"]["share"] >= 0.95)]
        for one in summary["demanded"]
    ]  # fmt: skip
    curve = [
        [words(c["design"]), f"{c['oracle_auc']:.3f}", str(c["subjects"]), f"{c['median_auc']:.2f}",
         *(str(c[k]["hits"]) for k in ("right", "wrong", "none")), str(c["right"]["of"]),
         *(str(one["hits"]) for one in c["ranked_first"].values()),
         ", ".join(f"{words(name)} {n}" for name, n in c["failed_gates"].items()) or "-"]
        for c in summary["cells"]
    ]  # fmt: skip
    head = ["design", "oracle AUC", "subjects", "AUC of the network", "right", "wrong", "none", "of"]
    head += ["first by Shapley", "first by ablation", "gates that failed"]
    return "\n\n".join([
        table(["subjects", "oracle AUC", "right driver", "wrong driver", "≥ 95 %"], demanded),
        f"Thin fascia in shear wave: any layer named in {most(summary['unresolved'])}.",
        "Smallest number of subjects of those tried (20, 40, 80, 130) from which on the right layer was named in at "
        "least nine of ten cohorts, by oracle AUC:", _smallest(summary["cells"]),
        "<details><summary>Power curve: every design, effect and number of subjects</summary>",
        table(head, curve), "</details>",
    ])  # fmt: skip


def _smallest(cells: list[Found]) -> str:
    effects = sorted({c["oracle_auc"] for c in cells})
    rows = []
    for design in dict.fromkeys(c["design"] for c in cells if c["claim"]):
        row = [words(design)]
        for effect in effects:
            own = [c for c in cells if c["design"] == design and c["oracle_auc"] == effect]
            poor = [c["subjects"] for c in own if c["right"]["share"] < 0.9]
            good = [c["subjects"] for c in own if c["subjects"] > max(poor, default=0)]
            row.append(str(min(good)) if good else f"> {max(c['subjects'] for c in own)}")
        rows.append(row)
    return table(["design", *(f"{effect:.3f}" for effect in effects)], rows)


def nulls(found: Found) -> str:
    rows = []
    for kind, one in found["summary"].items():
        gates = ", ".join(f"{words(name)} {n}" for name, n in one["failed_gates"].items())
        alone = ", ".join(f"{words(name)} {n}" for name, n in one["failed_alone"].items()) or "-"
        model = one["by_model"]
        upper = "-" if model["upper"] is None else f"≤ {percent(model['upper'])}"
        rows.append([words(kind), most(one["claimed"]), verdict(one["within"]), most(model["models_with_any"]), upper,
                     f"{one['median_auc']:.2f}", gates, alone])  # fmt: skip
    head = ["null", "a driver named", "≤ 20 of 400", "networks with any", "rate over networks", "median AUC",
            "cohorts that a gate stopped", "stopped by one gate alone"]  # fmt: skip
    return table(head, rows)


def intervals(found: Found) -> str:
    rows = [
        [words(name), str(one["cohorts"]), percent(one["coverage"]), f"{percent(one['low'])} to {percent(one['high'])}",
         "-" if one["holds"] is None else verdict(one["holds"])]
        for name, one in found["cells"].items()
    ]  # fmt: skip
    first = table(["cell", "cohorts", "covered", "exact 95 % limits", "in the goal"], rows)
    other = found.get("other", {}).get("cells", {})
    return "\n\n".join([first, OTHER_INTERVALS, _other_intervals(other)]) if other else first


OTHER_INTERVALS = (
    "Intervals of other numbers: no goal was set for them, so the last column says where the coverage lies outside "
    "92.5 to 97 %. Of 2,000 cohorts a cell those that have an interval are counted. Behind the shape: subjects; of "
    "`joined` cases + controls + subjects with both classes."
)


def _other_intervals(cells: Found) -> str:
    """One row per quantity of every cell."""
    rows = [
        [words(name), words(what), str(one["cohorts"] - one["withheld"]), percent(one["coverage"]),
         f"{percent(one['low'])} to {percent(one['high'])}", _outside(one["coverage"])]
        for name, cell in cells.items() for what, one in cell["quantities"].items()
    ]  # fmt: skip
    return table(["cell", "interval of", "cohorts", "covered", "exact 95 % limits", "outside 92.5 to 97 %"], rows)


def _outside(coverage: float | None) -> str:
    if coverage is None or 0.925 <= coverage <= 0.97:
        return "-"
    return "**below**" if coverage < 0.925 else "above"


def reference(found: Found) -> str:
    rows = []
    for driver, cell in found["summary"].items():
        named = [most(_of(cell[s], "claimed_other", cell)) for s in SETUPS]
        right = ["-" if driver == "null" else least(_of(cell[s], "claimed_planted", cell)) for s in SETUPS]
        rows.append([words(driver), str(cell["cohorts"]), *right, *named])
    return table(["planted in B-mode", "cohorts", *(f"named, {s}" for s in SETUPS), *(f"another, {s}" for s in SETUPS)],
                 rows)  # fmt: skip


def _of(cell: Found, key: str, whole: Found) -> Found:
    from .bounds import share

    return share(cell[key], whole["cohorts"])


def guards(found: Found) -> str:
    rows = []
    for guard, kinds in found["guards"].items():
        for kind, cases in kinds.items():
            for name, rate in cases.items():
                wanted = kind == "planted"
                shown = (least if wanted else most)({**rate, "hits": rate["fired"]})
                holds = rate["of"] > 0 and (rate["share"] >= 0.9 if wanted else rate["share"] <= 0.1)
                rows.append([words(guard), "failure" if wanted else "sound", words(name), shown, verdict(holds)])
    return table(["guard", "planted", "case", "fired", "≥ 90 % of failures, ≤ 10 % of sound"], rows)


TABLES: dict[str, Callable[[Any], str]] = {
    "frozen": frozen, "tool": tool, "trained": trained, "nulls": nulls, "guards": guards, "intervals": intervals,
    "reference": reference,
}  # fmt: skip
