"""stats: cohort statistics of a run, with the subject as the unit."""

from __future__ import annotations

import json as encode
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..files import write_atomic
from .app import Json, app
from .result_files import check_by, layers_of, own_columns, run_tables, table_of, writing


@app.command
def stats(
    results: Path = Path("results"),
    *,
    by: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    long: Path | None = None,
    json: Json = False,
) -> int:
    """Contrasts of layers, groups and classes, strata and calibration on subject level; docs/guides/statistics.md.

    Writes stats.json beside claims.json.

    Parameters
    ----------
    results
        The folder a run has written.
    by
        Columns of the cohort table to stratify by, beside class and correctness: site, sex, scanner ...
    long
        Long table for mixed models to write as well, .csv or .parquet.
    """
    statistics = write_statistics(results, by or (), long)
    print(encode.dumps(statistics, sort_keys=True) if json else statistics_text(statistics))
    written = [results / "stats.json", *([long] if long is not None else [])]
    print(f"wrote {', '.join(map(str, written))}", file=sys.stderr)
    return 0


def write_statistics(results: Path, by: Sequence[str] = (), long: Path | None = None) -> dict[str, Any]:
    """Write stats.json and, if a path is given, the long table. LayerFastError for what cannot be done."""
    from ..elsewhere.table import check_out
    from ..quantify import cells, claims_json
    from ..quantify.stats import frame_of, statistics_of, write_long
    from ..quantify.stats.resample import Plan
    from .run_facts import classifier_facts

    with writing(results):
        target = None if long is None else check_out(long, *run_tables(results))
        layers, scans = layers_of(results), table_of(results / "scans.parquet")
        check_by(tuple(by), scans.column_names)
        found = cells(layers)
        layers = layers.select([name for name in ("thickness_mm",) if name in layers.column_names])  # frees the rest
        frame = frame_of(found, scans, **classifier_facts(results))
        statistics = statistics_of(frame, by, Plan())
        write_atomic(results / "stats.json", claims_json(statistics))
        if target is not None:
            strata = [name for name in own_columns(scans.column_names) if name != "label_unit"]
            write_atomic(target, write_long(frame, found, layers, strata, target.suffix.lower()))
    return statistics


def statistics_text(statistics: Mapping[str, Any]) -> str:
    """Class contrasts of Shapley values, muscle against the rest in maps, calibration: three grids as text."""
    from ..report.style import plain
    from ..report.terminal import grid

    s = statistics["scans"]
    units = ", ".join(f"{n} {kind}" for kind, n in s["units"].items())
    lines = [f"{s['subjects']} subjects, {s['used']} scans; labels belong to: {units}", ""]
    for one in statistics["analyses"]:
        if one["method"] == "layer_shapley":
            lines += [plain(f"{_name(one)}: class contrast ({one['units']})"), *grid(_contrasts(one)), ""]
    rows = [row for one in statistics["analyses"] if one["definition"] == "mean_minmax_volume" for row in _muscle(one)]
    if rows:
        lines += ["Muscle less non-muscle, mean of the map scaled to 0..1, all subjects", *grid(rows), ""]
    if statistics["calibration"]:
        lines += ["Classifiers", *grid([_quality(one) for one in statistics["calibration"]]), ""]
    lines.append(f"{statistics['caption']} {statistics['disclaimer']}")
    return "\n".join(lines)


def _name(one: Mapping[str, Any]) -> str:
    parts = (one["setup"], one.get("channel"), one["model"], one["member"], one.get("fill"))
    return " ".join(part for part in parts if part)


def _contrasts(one: Mapping[str, Any]) -> list[dict[str, str]]:
    from ..report.style import interval, number

    rows = [row for row in one["classes"]["rows"] if row["family"] == "class_layers"]
    scale = max((abs(row["estimate"]) for row in rows if row["estimate"] is not None), default=1.0)
    out = []
    for row in rows:
        part = row.get("between") or row.get("within") or {}
        size = part.get("hedges_g")
        out.append({
            "layer": row["region"].replace("_", " "), "D": interval(row, 2, scale), "p": number(row["p"]),
            "Holm": number(row["p_holm"]), "BH": number(row["p_bh"]), "Hedges g": interval(size, 2) if size else "–",
        })  # fmt: skip
    return out


def _muscle(one: Mapping[str, Any]) -> list[dict[str, str]]:
    from ..report.style import interval, number, plain

    row = next(row for row in one["paired"] if row["family"] == "group_pairs" and row["first"] == "muscle")
    name = {"setup": plain(_name(one)), "method": plain(one["method"]), "subjects": str(row["n"])}
    return [{**name, "difference": interval(row), "p": number(row["p"]), "Hedges g": interval(row["hedges_g"], 2)}]


def _quality(one: Mapping[str, Any]) -> dict[str, str]:
    from ..report.style import interval, plain

    what = {"AUC": "auc", "Brier": "brier", "log-loss": "log_loss", "intercept": "intercept", "slope": "slope"}
    told = {title: interval(one[name], 2) for title, name in what.items()}
    return {"classifier": plain(_name(one)), **told}
