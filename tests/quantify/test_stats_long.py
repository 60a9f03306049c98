"""The long table: every number on the row of its own scan and region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
import pytest

from fake_tables import draw_phi, map_tables, shapley_tables
from layer_fast.quantify import cells
from layer_fast.quantify.stats import LONG_COLUMNS, frame_of, long_table, write_long


@pytest.fixture(scope="module")
def made() -> Any:
    rng = np.random.default_rng(3)
    phi, case = draw_phi(rng, subjects=6, scans=2)
    phi[1, 0, 3] = np.nan
    layers, scans = shapley_tables(phi, case)
    layers = [{"thickness_mm": None, **row} for row in layers + map_tables(np.abs(np.nan_to_num(phi)), case)]
    rng.shuffle(layers)  # type: ignore[arg-type]
    for i, row in enumerate(layers):
        row["thickness_mm"] = float(i) if row["region_kind"] == "layer" else None
    for row in scans:
        row |= {"site": "A" if row["subject"] < "p003" else None, "status": "ok"}
    scans[5]["status"], scans[0]["label"] = "failed", "other"
    names = list(dict.fromkeys(name for row in layers for name in row))
    table = pyarrow.table({name: [row.get(name) for row in layers] for name in names})
    found = cells(table)
    return layers, scans, found, frame_of(found, scans, logit_sd=2.0), table


def test_rows_are_those_of_the_run(made: Any) -> None:
    layers, scans, found, frame, table = made
    rows = long_table(frame, found, table, ["site"]).to_pylist()
    assert len(rows) == 3 * 11 * 11  # two definitions of the map, one of Shapley values; one scan failed
    key = ("scan_id", "method", "region_kind", "region")
    theirs = {tuple(row[k] for k in key): row for row in layers}
    label = {row["scan_id"]: row["label"] for row in scans}
    for row in rows:
        one = theirs[tuple(row[k] for k in key)]
        for name in ("thickness_mm", "subject", "present", "n_voxels", "margin", "member", "fill", "target"):
            assert row[name] == one[name], name
        assert row["site"] == ("A" if row["subject"] < "p003" else None)
        assert row["label"] == label[row["scan_id"]] and row["label_unit"] == "subject"
        if row["definition"] == "layer_shapley":
            assert row["value"] == one["value"] / 2 or (np.isnan(row["value"]) and np.isnan(one["value"]))
            assert row["units"] == "SD of the model's logit"
        elif row["definition"] == "mean_minmax_volume":
            assert row["value"] == one["mean_minmax_volume"]


def test_correctness_is_null_without_a_margin_or_a_class(made: Any) -> None:
    _, _, found, frame, table = made
    rows = long_table(frame, found, table).to_pylist()
    for row in rows:
        if row["method"] == "gradcam" or row["label"] == "other":  # these maps have margin 0
            assert row["correctness"] is None
        else:
            call = "positive" if row["margin"] > 0 else "negative"
            truth = (row["margin"] > 0) == (row["label"] == "case")
            assert row["correctness"] == f"{'true' if truth else 'false'} {call}"


def test_files_hold_the_table(made: Any, tmp_path: Any) -> None:
    import io

    import pyarrow.csv
    import pyarrow.parquet

    _, _, found, frame, table = made
    whole = long_table(frame, found, table, ["site"])
    read = pyarrow.parquet.read_table(io.BytesIO(write_long(frame, found, table, ["site"], ".parquet")))
    assert read.schema.equals(whole.schema) and read.column_names == [*LONG_COLUMNS, "site"]
    for name in whole.column_names:  # NaN is not equal to itself
        mine, theirs = whole.column(name), read.column(name)
        assert mine.is_null().to_pylist() == theirs.is_null().to_pylist()
        assert [str(v) for v in mine.to_pylist()] == [str(v) for v in theirs.to_pylist()]
    text = pyarrow.csv.read_csv(io.BytesIO(write_long(frame, found, table, ["site"], ".csv")))
    assert np.array_equal(text.column("value").to_numpy(), whole.column("value").to_numpy(), equal_nan=True)
    assert text.column("thickness_mm").null_count == whole.column("thickness_mm").null_count


def test_a_stratum_must_be_a_column_of_its_own(made: Any) -> None:
    _, _, found, frame, table = made
    for name in ("clinic", "label"):
        with pytest.raises(ValueError, match="expected another column"):
            long_table(frame, found, table, [name])
