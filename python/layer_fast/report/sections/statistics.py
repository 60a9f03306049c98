"""stats.json: class contrasts with effect sizes, the groups against each other, and strata."""

from __future__ import annotations

from typing import Any

from ...types import LAYERS
from ..primary import primary
from ..style import cell_order, column_scale, interval, number, region_title
from .words import cell_name, distinct, with_detail, words

_METHOD = "layer_shapley"
_GROUPS = ("layer_shapley", "mean_minmax_volume")  # definitions whose groups are set against each other here
_STRATA = 12  # lines of strata shown for one analysis; stats.json has all


def statistics(stats: dict[str, Any]) -> dict[str, Any]:
    """Class contrasts of the Shapley values, pairs of groups in every analysis, strata; each with its families."""
    analyses = sorted((a for a in primary(stats["analyses"]) if not a["channel"]), key=cell_order)
    extra = distinct(analyses)
    titled = [{**a, "title": with_detail(cell_name(a), text)} for a, text in zip(analyses, extra, strict=True)]
    own = [a for a in titled if a["method"] == _METHOD]
    return {
        "contrasts": [_contrasts(a) for a in own],
        "groups": [row for a in titled if a["definition"] in _GROUPS for row in _groups(a)],
        "strata": [_strata(a) for a in own if a["strata"]],
        "settings": stats["settings"],
        "multiplicity": stats["multiplicity"],
    }


def _contrasts(analysis: dict[str, Any]) -> dict[str, Any]:
    rows = [r for r in analysis["classes"]["rows"] if "region" in r]
    size = column_scale(rows)
    return {
        "title": analysis["title"], "positive": analysis["positive"], "negative": analysis["negative"] or "all others",
        "units": analysis["units"],
        "rows": [{
            "title": region_title(r["region_kind"], r["region"]), "d": interval(r, 3, size), "p": number(r["p"], 4),
            "holm": number(r["p_holm"], 4), "bh": number(r["p_bh"], 4),
            "g": _effect(r.get("between"), "hedges_g"), "delta": _effect(r.get("between"), "cliffs_delta"),
        } for r in rows],
    }  # fmt: skip


def _effect(part: dict[str, Any] | None, name: str, *, turn: bool = False) -> str:
    effect = None if part is None else part[name]
    return "–" if effect is None else interval(_turned(effect) if turn else effect, 2)


def _groups(analysis: dict[str, Any]) -> list[dict[str, Any]]:
    """Muscle against non-muscle and fascia against fat: of maps the paired difference, of values the class contrast.

    The first pair is turned: the report has non-muscle less muscle everywhere."""
    value = analysis["method"] in ("layer_shapley", "layer_ablation")
    rows = analysis["classes"]["rows"] if value else analysis["paired"]
    found = [r for r in rows if r.get("pair_kind") == "group"]
    size, out = column_scale(found), []
    for r in found:
        turn = r["first"] == "muscle"
        names = (r["second"], r["first"]) if turn else (r["first"], r["second"])
        out.append({
            "title": analysis["title"], "definition": analysis["definition"], "what": " less ".join(map(words, names)),
            "basis": "difference of class contrasts" if value else "paired difference of subjects",
            "estimate": interval(_turned(r) if turn else r, 3, size), "p": number(r["p"], 4),
            "holm": number(r["p_holm"], 4), "g": _effect(r.get("between") if value else r, "hedges_g", turn=turn),
        })  # fmt: skip
    return out


def _turned(part: dict[str, Any]) -> dict[str, float | None]:
    """The difference the other way round."""
    return {name: None if part[other] is None else -part[other]
            for name, other in (("estimate", "estimate"), ("low", "high"), ("high", "low"))}  # fmt: skip


def _strata(analysis: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for s in analysis["strata"]:
        of = {(r["region_kind"], r["region"]): r for r in s["regions"]}
        means = [of.get(("layer", name), {"mean": None})["mean"] for name in LAYERS]
        rows.append({"by": "all scans" if s["by"] == "all" else f"{s['by']}: {s['level']}", "n": s["n_subjects"],
                     "scans": s["n_scans"], "withheld": s["withheld"], "means": means})  # fmt: skip
    size = column_scale([m for r in rows for m in r["means"] if m is not None])
    for r in rows:
        r["means"] = ["–" if m is None else number(m["estimate"], 3, size) for m in r["means"]]
    return {"title": analysis["title"], "units": analysis["units"], "layers": [words(n) for n in LAYERS],
            "rows": rows[:_STRATA], "total": len(rows)}  # fmt: skip
