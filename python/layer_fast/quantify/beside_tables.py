"""What statistics are told beside the tables: the classes of every target, the logit SD of every classifier, scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .folds import ByFold, LogitSd
from .tables import Cell, columns


def classifier_of(cell: Cell) -> tuple[str, str, str]:
    """What tells the classifiers of a table apart: several setups may hold a model of one name and member."""
    return cell.key["setup"], cell.key["model"], cell.key["member"]


def logit_sds_of(
    found: Sequence[Cell], logit_sd: LogitSd
) -> dict[tuple[str, str, str], float | ByFold | None]:
    """The logit SD of every classifier of the cells, by fold where it is one model for each."""
    out: dict[tuple[str, str, str], float | ByFold | None] = {}
    classifiers = {classifier_of(cell) for cell in found}
    for one in sorted(classifiers):
        own = "/".join(one)
        if isinstance(logit_sd, Mapping):
            named = next((key for key in _names(one) if key in logit_sd), "")
            if named and sum(named in _names(other) for other in classifiers) > 1:
                raise ValueError(f"[summary] expected a logit SD of {own}, for {named} means several; got {named}")
            sd = logit_sd.get(named)
        else:
            sd = logit_sd
        if any(x is not None and not x > 0 for x in (sd.values() if isinstance(sd, Mapping) else (sd,))):
            raise ValueError(f"[summary] expected a logit SD > 0 for {own}, got {sd}")
        out[one] = sd
    return out


def _names(classifier: tuple[str, str, str]) -> tuple[str, str, str]:
    """Its names in `logit_sd`, the one that means no other first."""
    setup, model, member = classifier
    return f"{setup}/{model}/{member}", f"{model}/{member}", model


def pairs_of(
    found: Sequence[Cell],
    positive: str | None,
    negative: str | None,
    targets: Mapping[str, tuple[str, str | None]] | None,
) -> dict[str, tuple[str, str | None]]:
    """(positive, negative) of every target of the cells; negative None: every other label."""
    if (positive is None) != (negative is None):
        raise ValueError(f"[summary] expected positive and negative or neither, got {positive!r} and {negative!r}")
    out: dict[str, tuple[str, str | None]] = {}
    for target in sorted({cell.key["target"] for cell in found}):
        if positive is not None and negative is not None:
            out[target] = positive, negative
        elif targets is None:
            out[target] = _split(target)
        elif target in targets:
            out[target] = targets[target][0], targets[target][1]
        else:
            raise ValueError(f"[summary] targets: expected the classes of {target!r}, got those of {sorted(targets)}")
        if len(set(out[target])) != 2 or "" in out[target]:
            raise ValueError(f"[summary] expected two different classes for {target!r}, got {out[target]}")
    return out


def _split(target: str) -> tuple[str, str | None]:
    """("case", "control") from "margin:case-control", ("case", None) from "margin:case-rest"."""
    kind, _, pair = target.partition(":")
    names = pair.split("-")
    if kind != "margin" or len(names) != 2:
        raise ValueError(f"[summary] expected targets, for the classes of {target!r} cannot be told apart by '-'")
    return names[0], None if names[1] == "rest" else names[1]


def scans_by_id(scans: Any) -> dict[str, dict[str, Any]]:
    """The rows of scans.parquet by scan_id, sorted by it. ValueError for missing columns and a scan_id twice."""
    table = columns(scans)
    missing = [name for name in ("scan_id", "subject", "label", "status") if name not in table]
    if table and missing:
        raise ValueError(f"[scans] expected the columns of docs/tables.md, missing: {', '.join(missing)}")
    names = sorted(table)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*(table[n] for n in names), strict=True)]
    out = {row["scan_id"]: row for row in sorted(rows, key=lambda r: str(r["scan_id"]))}
    if len(out) != len(rows):
        raise ValueError("[scans] expected every scan_id once")
    return out
