"""Labels of the cohort table that are not the classes of the model: said before the run and with the answer."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

import layer_fast as lf
import tiny
from layer_fast.class_labels import strange_labels
from layer_fast.cli.summary_files import write_summary
from layer_fast.cohort import run_cohort


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode", "swe"))


def refs(*labels: str | None) -> list[lf.ScanRef]:
    return [lf.ScanRef(f"s{i}", f"p{i}", label=label) for i, label in enumerate(labels)]


def said(models: Path, *labels: str | None) -> list[str]:
    return strange_labels(refs(*labels), lf.load_models(models), ("bmode", "swe", "both"))


def test_labels_that_fit_and_tables_without_labels_are_not_worth_a_word(models: Path) -> None:
    assert said(models, "case", "control", "unclear", None) == []
    assert said(models, None, None) == []


def test_a_class_without_scans_is_named_once_with_the_labels_that_there_are(models: Path) -> None:
    (one,) = said(models, "Case", "control", "Case", None)
    assert one.startswith("setup bmode, swe: expected scans labelled 'case', found none; labels of the table, with")
    assert "'Case' (2), 'control' (1)" in one
    (both,) = said(models, *[f"grade {i}" for i in range(9)])
    assert "'case' and 'control'" in both
    assert both.count("'grade") == 8
    assert ", ..." in both


def _manifest(models: Path, target: dict[str, Any], **more: Any) -> None:
    path = models / "bmode" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target": target} | more))


def test_one_class_against_the_rest_takes_any_other_label(tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path / "m", ("bmode",))
    _manifest(models, {"positive": "case", "negative": None})
    assert said(models, "case", "whatever") == []
    (one,) = said(models, "case", "case")
    assert "expected scans labelled otherwise, found none" in one


def test_a_threshold_has_several_labels_on_a_side(tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path / "m", ("bmode",))
    _manifest(models, {"positive": "case", "at_or_above": True}, ordinal=True)
    assert said(models, "control", "case") == []
    assert "expected scans labelled 'control', found none" in said(models, "case")[0]


def test_a_run_says_it_before_the_first_scan_and_the_answer_says_it_again(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tiny.write_cohort(tmp_path / "c", 8)
    table.write_text(table.read_text().replace("control", "healthy").replace("case", "pain"))
    with caplog.at_level(logging.WARNING, "layer_fast"):
        assert run_cohort(table, models, tmp_path / "out").exit_code == 0
    (warning,) = [r.getMessage() for r in caplog.records if "expected scans labelled" in r.getMessage()]
    assert "'healthy' (4), 'pain' (4)" in warning
    answer = write_summary(tmp_path / "out")["answers"][0]
    assert answer["text"].startswith("No single driver: no subject is of the two classes; too few subjects: 0")
    assert "the model compares case and control, labels that are neither: healthy, pain" in answer["text"]
    assert "labels that are neither: healthy, pain" in (tmp_path / "out" / "report.html").read_text()
