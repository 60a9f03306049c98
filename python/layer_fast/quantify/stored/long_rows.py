"""Definitions on every stored map as a long table: one row per scan, cell, region and definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..cohort import Subjects
from ..reduction import Reduction
from .evaluate import HOW, NEEDS_VOLUMES, Evaluated, evaluate
from .gain import gain
from .maps import StoredMaps
from .on_subjects import OnSubjects, on_subjects

SubjectsOf = Callable[[StoredMaps], Subjects]
Who = dict[str, list[Any]]  # scan_id, subject, label of each row


def long_tables(maps: StoredMaps, definitions: Sequence[Reduction], subjects: SubjectsOf, schema: Any) -> Iterator[Any]:
    """pyarrow tables of `schema` (EVALUATED_COLUMNS), one per definition. A gain has a row per region and no scan;
    a definition with another hierarchy than the plain one has a second table, of subjects.

    subjects: who is case and who control in a cell. Raises ConfigError for a definition that does not fit the maps.
    """
    for definition in definitions:
        common = {**maps.cell.key, "definition": definition.name, "definition_sha256": definition.sha256_short,
                  "statistic": definition.statistic.name, "units": definition.units}  # fmt: skip
        if definition.statistic.facts.cohort:
            yield _gain_table(maps, definition, subjects(maps), common, schema)
        else:
            yield _scan_table(maps, definition, common, schema)
            if not definition.hierarchy.is_plain and (who := subjects(maps)).names:
                yield _subject_table(maps, definition, who, common, schema)


def _scan_table(maps: StoredMaps, definition: Reduction, common: dict[str, str], schema: Any) -> Any:
    who: Who = {"scan_id": list(maps.scan_ids), **{n: maps.cell.per_scan(n) for n in ("subject", "label")}}
    return _evaluated_table(evaluate(maps, definition), who, common, schema)


def _subject_table(
    maps: StoredMaps, definition: Reduction, subjects: Subjects, common: dict[str, str], schema: Any
) -> Any:
    """No scan, and no label where a subject's scans have several."""
    given = maps.cell.per_scan("label")
    labels = [{given[i] for i in scans} for scans in subjects.scans]
    who: Who = {"scan_id": [None] * len(labels), "subject": list(subjects.names),
           "label": [one.pop() if len(one) == 1 else None for one in labels]}  # fmt: skip
    return _evaluated_table(on_subjects(maps, definition, subjects), who, common, schema)


def _evaluated_table(
    found: Evaluated | OnSubjects, who: Who, common: dict[str, str], schema: Any
) -> Any:
    rows, regions = found.value.shape
    labels = [r.label_value for r in found.regions]
    columns = {
        **{name: _texts(values, np.repeat(np.arange(rows), regions)) for name, values in who.items()},
        **{name: _texts([text], np.zeros(rows * regions, np.int64)) for name, text in common.items()},
        "region": _texts([r.name for r in found.regions], np.tile(np.arange(regions), rows)),
        "region_kind": _texts([r.kind for r in found.regions], np.tile(np.arange(regions), rows)),
        "label_value": _tiled(labels, rows), "n_voxels": found.n.ravel().astype(np.int64),
        "value": found.value.ravel(), "error_bound": found.error_bound.ravel(),
        "how": _texts(list(HOW), found.how.ravel()),
        "reason": _texts(["", found.why], (found.how.ravel() == NEEDS_VOLUMES).astype(np.int64)),
    }  # fmt: skip
    return _table(columns, schema)


def _gain_table(
    maps: StoredMaps, definition: Reduction, subjects: Subjects, common: dict[str, str], schema: Any
) -> Any:
    found = gain(maps, definition, subjects)
    rows = [
        {**common, "region": r.name, "region_kind": r.kind, "label_value": None if r.kind == "group" else r.labels[0],
         "value": value, "error_bound": float("nan") if found.why else 0.0,
         "how": HOW[NEEDS_VOLUMES] if found.why else HOW[0], "reason": found.why}
        for r, value in zip(found.regions, found.value.tolist(), strict=True)
    ]  # fmt: skip
    import pyarrow

    return pyarrow.Table.from_pylist(rows, schema=schema)


def _texts(names: Sequence[str | None], codes: Any) -> Any:
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(np.asarray(codes, np.int32), pyarrow.array(names, pyarrow.string()))


def _tiled(labels: list[int | None], times: int) -> Any:
    import pyarrow

    return pyarrow.array(labels * times, pyarrow.int8())


def _table(columns: dict[str, Any], schema: Any) -> Any:
    import pyarrow

    arrays = []
    for field in schema:
        values = columns[field.name]
        array = values if isinstance(values, pyarrow.Array) else pyarrow.array(values)
        arrays.append(array.cast(field.type))
    return pyarrow.Table.from_arrays(arrays, schema=schema)
