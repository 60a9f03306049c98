"""games.json: log-loss and AUC shared out over the layers, and pairs of layers that act together."""

from __future__ import annotations

from typing import Any

from ...quantify.claim.answers import rank
from ..figures import axis, mark, scale_of
from ..style import COLOURS, cell_order, column_scale, interval, region_title, setup_title
from .words import distinct, with_detail, words

_METRICS = {"log_loss": "log-loss, nats", "auc": "AUC"}
_PAIRS = 5  # interactions named for each classifier
_SMALL = 110


def games(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry for every classifier, of its primary fill: the two metrics and the largest interactions."""
    cells = [{**g, "method": "", "channel": ""} for g in found["games"]]
    key = ("setup", "model", "member", "target", "mask")
    best: dict[tuple[str, ...], dict[str, Any]] = {}
    for game in cells:
        name = tuple(game[n] for n in key)
        if name not in best or rank(game["fill"]) < rank(best[name]["fill"]):
            best[name] = game
    chosen = sorted(best.values(), key=cell_order)
    return [_game(g, text) for g, text in zip(chosen, distinct(chosen), strict=True)]


def _game(game: dict[str, Any], which: str) -> dict[str, Any]:
    metrics = [_metric(title, game[name]) for name, title in _METRICS.items() if game[name] is not None]
    pairs = [p for p in game["interactions"] if p["contrast"]["estimate"] is not None]
    pairs.sort(key=lambda p: (-abs(p["contrast"]["estimate"]), p["first"], p["second"]))
    size = column_scale([p["contrast"] for p in pairs])
    return {
        "title": with_detail(setup_title(game['setup']), which),
        "fill": game["fill"],
        "units": game["units"],
        "metrics": metrics,
        "pairs": [{"names": f"{words(p['first'])} with {words(p['second'])}",
                   "contrast": interval(p["contrast"], 3, size), "mean": interval(p["mean"], 3, size)}
                  for p in pairs[:_PAIRS]],
        "n_pairs": len(game["interactions"]),
    }  # fmt: skip


def _metric(title: str, metric: dict[str, Any]) -> dict[str, Any]:
    scale, size = scale_of(metric["values"], width=_SMALL), column_scale(metric["values"])
    rows = []
    for part in metric["values"]:
        kind = "background" if part["region"] == "background" else "layer"
        text = interval(part, 3, size)
        rows.append({"title": region_title(kind, part["region"]), "colour": COLOURS[part["region"]], "text": text,
                     "figure": mark(part, scale, COLOURS[part["region"]], text)})  # fmt: skip
    return {"title": title, "rows": rows, "axis": axis(scale),
            "all": interval(metric["all"]), "none": interval(metric["none"])}  # fmt: skip
