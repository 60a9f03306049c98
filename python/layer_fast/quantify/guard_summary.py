"""guards.json: what every guard asked and found, one entry per guard and cell, for the report and for reviewers.

{"schema_version": 1, "guards": [entry, ...]}. An entry: name; setup, model, member, method, channel, fill, target,
mask (of the cell; "" where it has none); question; statistic (what `value` is); value (a number, or a number per
layer; None: not computed); threshold (text); fired (True: do not trust, False: nothing found, None: not checked);
sentence. Entries are in the order of the cells of claims.json, and of `QUESTIONS` within a cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import LAYERS
from .claim.gate import ELSEWHERE
from .tables import to_float

QUESTIONS = {
    "geometry_and_confounders": "could thickness, mask, person or scanner have told the classes apart as well?",
    "mask_sensitivity": "is the same layer on top under masks that are up to a voxel off, or another rater's?",
    "leakage": "how much of a layer's mean may come from its neighbours, by the size of the map's cells alone?",
    "border": "does the layer's number come from its border rather than from its core?",
    "null_depth": "is the map higher in the layer than in layers of its thickness at other depths?",
    "null_lateral": "is the map higher in the layer than where it is shifted sideways?",
    "null_other_masks": "does the map follow the layer of its own scan better than that of other subjects?",
    "randomisation": "does the map change when what the model has learned is shuffled?",
    "low_information": "are there maps without content, tiny layers, or layers thinner than the modality resolves?",
}
HALF, FEW = 0.5, 0.1
_LOW = ("cam_all_zero", "cam_constant", "ig_incomplete", "low_n", "mask_empty")
_HALF_OF_SCANS = "no layer has p <= 0.05 in at least half of the scans"
_CELL = ("setup", "model", "member", "method", "channel", "fill", "target", "mask")
_FLAGS = {
    ("", "leakage"): ("leaky", "leakage_in", "mean share of each layer's mean that is its neighbours'"),
    ("", "border"): ("border_driven", "border_share", "mean share of each layer that is read from shared cells"),
    ("null:depth", "null_depth"): ("like_elsewhere", "null_p", "median p of each layer"),
    ("null:lateral", "null_lateral"): ("like_elsewhere", "null_p", "median p of each layer"),
    ("null:other_masks", "null_other_masks"): ("like_elsewhere", "null_p", "median p of each layer"),
}
_BARE = "border_only"
_KEY = (*_CELL, "variant", "region")
_NUMBERS = ("leakage_in", "border_share", "null_p", "null_n")
_DRAWS = 19  # with fewer no p reaches 0.05
_OTHER_MASKS = 0.25  # median p: of 20 p that are uniform it is as low in 1.4 % (docs/decisions.md)
Entry = dict[str, Any]
Layers = dict[str, dict[str, NDArray[np.float64]]]  # layer -> column -> a number per scan


def guard_summary(claims: Mapping[str, Any], guards: Any = None, randomised: Any = None) -> dict[str, Any]:
    """Entries of every cell. claims: what `summary` gave; guards: the table guards.parquet, randomised: the
    models of randomisation.json, or None."""
    by_cell = _by_cell(guards)
    out: list[Entry] = []
    for cell in claims["cells"]:
        found = [
            *_gates(cell),
            *(e for v, name in _FLAGS if (e := _flagged(name, by_cell.get((_cell(cell), v)))) is not None),
            *_randomised(cell, randomised or ()),
            _low_information(cell),
        ]
        out += [{**{k: cell.get(k, "") for k in _CELL}, **entry} for entry in found]
    return {"schema_version": 1, "guards": out}


def guards_json(found: Mapping[str, Any]) -> bytes:
    """The bytes of guards.json: sorted keys, no NaN."""
    return (json.dumps(found, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def _gates(cell: Mapping[str, Any]) -> Iterable[Entry]:
    for gate in cell["claim"]["gates"]:
        if gate["name"] in ELSEWHERE and gate["name"] in QUESTIONS:
            fired = None if gate["passed"] is None else not gate["passed"]
            yield _entry(gate["name"], "see the gate", gate["value"], gate["threshold"], fired, gate["reason"])


def _flagged(name: str, layers: Layers | None) -> Entry | None:
    """A guard with a flag per scan and layer: it fires for the layers that carry the flag in more than half of the
    scans that hold them; a null, which most layers cannot beat, where none stands out in half of the scans."""
    if layers is None:
        return None
    flag, column, statistic = next(v for (_, key), v in _FLAGS.items() if key == name)
    values, shares = {}, {}
    middle = np.median if column == "null_p" else np.mean
    for layer in LAYERS:
        own = layers.get(layer)
        there = np.array([], bool) if own is None else ~np.isnan(own[column])
        if own is not None and there.any():
            values[layer] = float(middle(own[column][there]))
            shares[layer] = float(own[flag][there].mean())
    if column == "null_p":
        return _null(name, statistic, layers, values, shares)
    fired = {layer: share for layer, share in shares.items() if share > HALF}
    word = flag.replace("_", " ")
    said = f"{word}: {_shares(fired)}" if fired else f"no layer is {word} in most scans"
    if name == "border" and (bare := _without_core(layers)):
        said += f"; without a core, so that nothing tells it from its neighbours: {_shares(bare)}"
    return _entry(name, statistic, values, f"flag {flag} in more than half of the scans", bool(fired), said)


def _without_core(layers: Layers) -> dict[str, float]:
    """Layers that have no map cell of their own in more than half of the scans that hold them, with the share."""
    out = {}
    for layer in LAYERS:
        own = layers.get(layer)
        there = np.array([], bool) if own is None else ~np.isnan(own["border_share"])
        if own is not None and there.any() and (share := float(own[_BARE][there].mean())) > HALF:
            out[layer] = share
    return out


def _shares(found: Mapping[str, float]) -> str:
    return ", ".join(f"{layer.replace('_', ' ')} ({100 * share:.0f} % of scans)" for layer, share in found.items())


def _null(name: str, statistic: str, layers: Layers, values: dict[str, float], shares: dict[str, float]) -> Entry:
    over_scans = name == "null_other_masks"
    threshold = f"no layer has a median p <= {_OTHER_MASKS:g}" if over_scans else _HALF_OF_SCANS
    draws = min(float(own["null_n"].min()) for own in layers.values())
    if draws < _DRAWS:
        said = f"{draws:.0f} draws are too few for p of 0.05"
        return _entry(name, statistic, values, threshold, None, said)
    if over_scans:
        low = {k: p for k, p in values.items() if p <= _OTHER_MASKS}
        out, names = bool(low), ", ".join(f"{k.replace('_', ' ')} (median p {p:.2g})" for k, p in low.items())
    else:
        high = {k: 1 - s for k, s in shares.items() if 1 - s >= HALF}
        out, names = bool(high), _shares(high)
    said = f"higher than elsewhere: {names}" if out else "the map is higher than elsewhere in no layer"
    return _entry(name, statistic, values, threshold, not out, said)


def _randomised(cell: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterable[Entry]:
    for row in rows:
        if cell.get("channel", "") == "" and all(cell[k] == row[k] for k in ("setup", "model", "member", "method")):
            value, asked = row["statistic"], f"mean |Spearman| > {row['threshold']:g} with every weight shuffled"
            fired = None if value is None else bool(row["fired"])
            said = "no map to compare"
            if value is not None:
                what = "the map hardly changes" if fired else "the map follows the weights"
                fold = f"fold {row['fold']}: " if row.get("fold") else ""  # of a fold map, a model for each
                said = f"{fold}{what}: mean |Spearman| {value:.2f} on {row['scans']} scans"
            yield _entry("randomisation", "mean |Spearman| with every weight shuffled", value, asked, fired, said)


def _low_information(cell: Mapping[str, Any]) -> Entry:
    n = cell["n_scans"]
    shares = {flag: cell["flags"].get(flag, 0) / n if n else 0.0 for flag in _LOW}
    thin = [r["region"] for r in cell["regions"] if r["region_kind"] == "layer" and (r["unresolved"] or 0) > HALF]
    many = [f"{flag} in {100 * share:.0f} % of scans" for flag, share in shares.items() if share > FEW]
    many += [f"{name.replace('_', ' ')} thinner than the modality resolves" for name in thin]
    said = "; ".join(many) if many else "maps have content and layers are large enough"
    threshold = "a flag in more than 10 % of the scans, or a layer unresolved in more than half of them"
    return _entry("low_information", "share of scans with each flag", shares, threshold, bool(many), said)


def _entry(name: str, statistic: str, value: Any, threshold: str, fired: bool | None, sentence: str) -> Entry:
    return {
        "name": name, "question": QUESTIONS[name], "statistic": statistic, "value": value, "threshold": threshold,
        "fired": fired, "sentence": sentence,
    }  # fmt: skip


def _cell(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row.get(k) or "") for k in _CELL)


def _by_cell(guards: Any) -> dict[tuple[tuple[str, ...], str], Layers]:
    """(cell, variant) -> layer -> the numbers and flags of its scans. Grouped by Arrow: a large cohort has millions of
    rows. The leakage and border guards share the variant ""."""
    if guards is None:
        return {}
    import pyarrow
    import pyarrow.compute as compute

    table = guards if hasattr(guards, "column_names") else pyarrow.Table.from_pylist(list(guards))
    if not table.num_rows:
        return {}
    table = table.filter(compute.is_in(table["variant"], pyarrow.array(sorted({v for v, _ in _FLAGS}))))
    flags, kept = table["flags"], table.select([*_KEY, *_NUMBERS])
    for flag in sorted({_BARE, *(flag for flag, *_ in _FLAGS.values())}):
        carried = compute.match_substring_regex(flags, f"(^|;){flag}(;|$)")
        kept = kept.append_column(flag, carried.cast("float64"))
    wanted = [*_NUMBERS, *kept.column_names[len(_KEY) + len(_NUMBERS) :]]
    grouped = kept.group_by(list(_KEY), use_threads=False).aggregate([(name, "list") for name in wanted])
    out: dict[tuple[tuple[str, ...], str], Layers] = {}
    for i in range(grouped.num_rows):
        key = tuple(str(grouped[name][i].as_py() or "") for name in _KEY)
        own = {name: to_float(grouped[f"{name}_list"][i].as_py()) for name in wanted}
        out.setdefault((key[:-2], key[-2]), {})[key[-1]] = own
    return out
