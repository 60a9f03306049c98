"""stats: cohort statistics of a run, with the subject as the unit."""

from __future__ import annotations

import json as encode
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError, LayerFastError
from ..files import write_atomic
from .app import Json, app


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
    import pyarrow.parquet as parquet

    from ..elsewhere.table import check_out
    from ..quantify import cells, claims_json
    from ..quantify.stats import frame_of, statistics_of, write_long
    from ..quantify.stats.resample import Plan
    from .summary_files import classifier_facts

    for name in ("layers.parquet", "scans.parquet", "run.json"):
        if not (results / name).is_file():
            raise LayerFastError(f"{results}: expected the results of a run, found no {name}")
    inputs = [results / name for name in ("layers.parquet", "scans.parquet", "coalitions.parquet")]
    target = None if long is None else check_out(long, *(path for path in inputs if path.exists()))
    layers, scans = _layers(results / "layers.parquet"), parquet.read_table(results / "scans.parquet")
    own = _own_columns(scans.column_names)
    if unknown := [name for name in by if name not in (*own, "label", "exposure", "mask", "status")]:
        raise ConfigError(f"--by {unknown[0]}: expected columns of the cohort table, found: {', '.join(own) or 'none'}")
    found = cells(layers)
    layers = layers.select([name for name in ("thickness_mm",) if name in layers.column_names])  # frees the rest
    try:
        frame = frame_of(found, scans, **classifier_facts(results))
        statistics = statistics_of(frame, by, Plan())
    except ValueError as error:
        raise LayerFastError(f"{results}: {error}") from error
    write_atomic(results / "stats.json", claims_json(statistics))
    if target is not None:
        strata = [name for name in own if name != "label_unit"]
        write_atomic(target, write_long(frame, found, layers, strata, target.suffix.lower()))
    return statistics


def _layers(path: Path) -> Any:
    """The columns that statistics read; texts as codes, which a large cohort needs to fit into memory."""
    import pyarrow.parquet as parquet

    from ..quantify.tables import NUMBERS, TEXTS

    there = parquet.read_schema(path).names
    wanted = [name for name in there if name in (*TEXTS, *NUMBERS, "thickness_mm")]
    return parquet.read_table(path, columns=wanted, read_dictionary=[name for name in wanted if name in TEXTS])


def _own_columns(names: Sequence[str]) -> list[str]:
    """The user's own columns of scans.parquet, fold and label_unit among them."""
    from ..tables import SCAN_COLUMNS

    return [name for name in names if name not in SCAN_COLUMNS or name in ("fold", "label_unit")]


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
