"""A run that stops by itself because too many scans are bad: nothing computed is lost, nothing is tried for nothing."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import tiny
from layer_fast.cohort import run_cohort
from layer_fast.config import RESULT_VERSION
from layer_fast.errors import ConfigError
from layer_fast.pipeline import Pipeline

OPTIONS = {"max_bad_share": 0.1, "lanes": 3, "scan_batch": 1, "mask": "given"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Thirty scans; the second to the twenty-ninth have no mask. In whole.csv all have one."""
    whole = tiny.write_cohort(tmp_path / "c", 30, masks=True).rename(tmp_path / "c" / "whole.csv")
    lines = whole.read_text().splitlines()
    lines[2:30] = [line.replace(f"m{i}.nii.gz", "") for i, line in enumerate(lines[2:30], start=1)]
    (tmp_path / "c" / "cohort.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "c" / "cohort.csv"


def count_scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scans that a run begins with, from now on."""
    begun: list[str] = []
    real, lock = Pipeline._batch, threading.Lock()

    def counted(self: Pipeline, items: Any, arrivals: Any) -> Any:
        with lock:
            begun.extend(item.scan_id for item in items)
        return real(self, items, arrivals)

    monkeypatch.setattr(Pipeline, "_batch", counted)
    return begun


def test_what_was_begun_is_kept(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = count_scans(monkeypatch)
    run = run_cohort(table, models, tmp_path / "out", OPTIONS)
    assert "more than max_bad_share allows (3 of 30)" in run.gave_up
    assert run.counts["pending"] == 30 - len(begun) >= 10
    assert len(list((tmp_path / "out" / "ledger").glob("*/*.json"))) == len(begun)


def test_a_resumed_run_begins_with_the_bad_scans_it_knows(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_cohort(table, models, tmp_path / "out", OPTIONS)
    begun = count_scans(monkeypatch)
    again = run_cohort(table, models, tmp_path / "out", OPTIONS)
    assert (begun, again.counts) == ([], first.counts)
    assert "of earlier runs are more than max_bad_share allows" in again.gave_up
    mended = run_cohort(table.with_name("whole.csv"), models, tmp_path / "out", OPTIONS)
    assert (mended.counts, mended.gave_up) == ({"ok": 30}, "")
    assert mended.reused == first.counts["ok"], "a mended scan is tried again"


def test_a_run_that_is_done_has_not_given_up(models: Path, table: Path, tmp_path: Path) -> None:
    assert run_cohort(table, models, tmp_path / "out", {**OPTIONS, "max_bad_share": 1.0}).gave_up == ""
    run = run_cohort(table, models, tmp_path / "out", OPTIONS)
    assert (run.counts, run.gave_up, run.reused) == ({"ok": 2, "quarantined": 28}, "", 30)


@pytest.mark.parametrize("text", ["{", "[]", f'{{"result_version": {RESULT_VERSION}}}', "\xff"])
def test_facts_of_an_earlier_run_that_cannot_be_read_are_no_missing_ones(
    models: Path, tmp_path: Path, text: str
) -> None:
    table = tiny.write_cohort(tmp_path / "c", 2)
    run_cohort(table, models, tmp_path / "out")
    kept = (tmp_path / "out" / "run.json").read_text()
    (tmp_path / "out" / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"run\.json: expected the facts of an earlier run"):
        run_cohort(table, models, tmp_path / "out")
    older = {**json.loads(kept), "result_version": 1, "engine": None}
    (tmp_path / "out" / "run.json").write_text(json.dumps(older))
    assert run_cohort(table, models, tmp_path / "out").reused == 2, "the records say themselves what they are of"
