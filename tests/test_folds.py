"""A cohort run by a fold map: every scan by the models of its fold, one cell over all folds, one fold at a time."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import layer_fast as lf
import tiny
from layer_fast import runner
from layer_fast.cohort import run_cohort
from layer_fast.errors import ModelError, TableError
from tiny import rows
from tiny_folds import FOLDS, edit, fold_of, with_fold, write_folds

OPTIONS = {"setups": ("bmode",), "guards": ("leakage", "border", "mask_perturbation"), "store": ("histograms",)}
SCALED = ("value", "sum", "sum_abs", "sum_pos", "min", "max", "mean", "std", "margin")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folds(tmp_path_factory.mktemp("folds") / "models")


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.parent, tmp_path / "models")) / "folds.yaml"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans of six subjects, two in each fold: one control, one case."""
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 12)


@pytest.fixture(scope="module")
def table(cohort: Path) -> Path:
    return with_fold(cohort, lambda row: fold_of(row["subject"]))


@pytest.fixture(scope="module")
def whole(made: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    run = run_cohort(table, made, out, OPTIONS)
    assert (run.exit_code, run.counts, run.reused) == (0, {"ok": 12}, 0)
    return out


def facts(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text()))


def test_every_scan_has_the_numbers_of_its_folds_models(
    whole: Path, table: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = tiny.write_models(tmp_path_factory.mktemp("plain") / "models", ("bmode",))
    run_cohort(table, plain, tmp_path / "out", OPTIONS)
    expected, found = rows(tmp_path / "out", "layers"), rows(whole, "layers")
    assert len(found) == len(expected) > 0, "one cell over all folds"
    for one, other in zip(found, expected, strict=True):
        scale = FOLDS[fold_of(one["subject"])]
        for name in SCALED:
            wanted = other[name] if other[name] is None else other[name] * scale
            assert one[name] == wanted or (one[name] != one[name] and wanted != wanted), (name, one["scan_id"])
        assert (one["model"], one["mask"], one["exposure"]) == ("tiny", "model:tiny_segmenter_bmode", "unseen")
    assert [r["fold"] for r in rows(whole, "scans")] == [fold_of(f"p{i // 2:02d}") for i in range(12)]
    for name in ("coalitions", "guards", "histograms"):
        assert {r["model"] for r in rows(whole, name)} == {"tiny"}


def test_example_scans_are_those_of_one_model(whole: Path, table: Path, tmp_path: Path) -> None:
    """Each fold's logits are 1, 2 or 4 times those of the plain models, and so are their SDs: the same scans."""
    run_cohort(table, tiny.write_models(tmp_path / "models", ("bmode",)), tmp_path / "out", OPTIONS)
    found, plain = (json.loads((out / "examples.json").read_text()) for out in (whole, tmp_path / "out"))
    assert found["setups"][0]["units"] == "SDs of the fold's logit"
    chosen = [[(r["role"], r["side"], r["scan_id"]) for r in one["setups"][0]["roles"]] for one in (found, plain)]
    assert chosen[0] == chosen[1] and any(name for *_, name in chosen[0])
    for a, b in zip(found["scans"], plain["scans"], strict=True):
        assert a["setups"]["bmode"]["layers"] == b["setups"]["bmode"]["layers"]
        assert a["picture"] == b["picture"] and (whole / "pictures" / a["picture"]).is_file()


def test_run_json_holds_the_map(whole: Path, made: Path) -> None:
    folds, run = lf.load_folds(made), facts(whole)
    assert run["fold_map"] == folds.facts() and run["complete"] is True
    classifiers = [p for p in run["models"] if p["role"] == "classifier"]
    shown = {(p["fold"], p["name"], p["package"], p["logit_sd_train"]) for p in classifiers}
    assert shown == {(f, "tiny", f"tiny-{f}", scale) for f, scale in FOLDS.items()}
    sha = {(p["fold"], p["sha256"]) for p in run["models"]}
    assert sha == {(f, p.sha256) for f, m in folds.folds.items() for p in m.packages}


def test_a_changed_model_redoes_its_own_fold(own: Path, table: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    before = tiny.table_bytes(out)
    assert run_cohort(table, own, out, OPTIONS).reused == 12 and tiny.table_bytes(out) == before
    own.write_text(own.read_text().replace('"name": "tiny"', '"name": "other"'))
    assert run_cohort(table, own, out, OPTIONS).reused == 12, "the name is the tables', not the records'"
    assert {r["model"] for r in rows(out, "layers")} == {"other"}
    edit(own.parent / "fold_b" / "bmode", 2.0)
    assert run_cohort(table, own, out, OPTIONS).reused == 8


def test_a_subject_that_changes_its_fold_is_run_again(made: Path, cohort: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    moved = with_fold(cohort, lambda row: "c" if row["subject"] == "p00" else fold_of(row["subject"]), "moved.csv")
    run = run_cohort(moved, made, out, OPTIONS)
    assert run.reused == 10
    again = [r for r in rows(out, "scans") if r["subject"] == "p00"]
    assert len(again) == 2 and all(r["exposure"] == "seen" and runner.SEEN in r["flags"].split(";") for r in again)


def test_a_stopped_run_keeps_the_records_of_other_folds(own: Path, table: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    edit(own.parent / "fold_a" / "bmode", 2.0)
    stop = threading.Event()
    stop.set()
    assert run_cohort(table, own, out, OPTIONS, stop=stop).counts == {"ok": 8, "pending": 4}
    assert run_cohort(table, own, out, OPTIONS).reused == 8


def test_numbers_as_folds_and_scans_without_one(made: Path, cohort: Path, tmp_path: Path) -> None:
    file = made.with_name("numbers.yaml")
    file.write_text("common: common\nfolds: {1: fold_a, 2.0: fold_b}\nname: tiny\n")
    given = {"s000": "1", "s002": "2.0", "s004": "", "s006": "3", "s008": " 2 "}
    odd = with_fold(cohort, lambda row: given.get(row["scan_id"], ""), "odd.csv")
    run = run_cohort(odd, file, tmp_path / "out", OPTIONS)
    assert (run.exit_code, run.counts) == (3, {"ok": 3, "quarantined": 9})
    found = {r["scan_id"]: r for r in rows(tmp_path / "out", "scans")}
    assert [found[s]["fold"] for s in given] == ["1", "2", None, "3", "2"]
    assert {found[s]["code"] for s in ("s001", "s004", "s006")} == {"no_fold"}
    assert found["s006"]["message"] == "column fold: expected one of 1, 2 as in numbers.yaml, found '3'"
    assert found["s004"]["message"].endswith("found nothing") and found["s004"]["exposure"] == "unknown"
    assert {r["scan_id"] for r in rows(tmp_path / "out", "layers")} == {"s000", "s002", "s008"}
    assert run_cohort(odd, file, tmp_path / "out", OPTIONS).reused == 3


def test_a_table_that_does_not_fit_the_map(made: Path, cohort: Path, tmp_path: Path) -> None:
    torn = with_fold(cohort, lambda row: {"s000": "a", "s001": "1"}.get(row["scan_id"], "b"), "torn.csv")
    with pytest.raises(TableError, match=r"every subject in one fold, found 1 in several \(p00 in 1, a\)"):
        run_cohort(torn, made, tmp_path / "out", OPTIONS)
    with pytest.raises(TableError, match=r"expected the folds of folds.yaml \(a, b, c\), found no fold in any row"):
        run_cohort(cohort, made, tmp_path / "out", OPTIONS)
    other = with_fold(cohort, lambda row: "x" + fold_of(row["subject"]), "other.csv")
    with pytest.raises(TableError, match=r"found xa, xb, xc"):
        run_cohort(other, made, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists(), "before any work"


def test_a_wrong_map_is_said_and_kept_as_exposure(
    made: Path, table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The usual slip: fold a names the model of fold b."""
    file = made.with_name("wrong.yaml")
    file.write_text("common: common\nfolds: {a: fold_b, b: fold_a, c: fold_c}\nname: tiny\n")
    with caplog.at_level(logging.WARNING, "layer_fast"):
        assert run_cohort(table, file, tmp_path / "out", OPTIONS).exit_code == 0
    assert "wrong.yaml: 4 subjects were in the training set of their own fold's model" in caplog.text
    assert "fold a: p00, p03; fold b: p01, p04" in caplog.text
    for row in rows(tmp_path / "out", "scans"):
        seen = row["fold"] != "c"
        assert row["exposure"] == ("seen" if seen else "unseen") and (runner.SEEN in row["flags"]) == seen


def test_one_fold_is_in_memory_at_a_time(
    made: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most: list[int] = []

    class Counted(lf.Pipeline):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            alive.add(self)
            most.append(len(alive))

    monkeypatch.setattr(runner, "Pipeline", Counted)
    assert run_cohort(table, made, tmp_path / "out", {"setups": ("bmode",)}).exit_code == 0
    assert most[:3] == [1] * 3 and len(most) <= 5, "three pipelines, and at most two again for pictures"
    assert set(most) == {1}, "never two at once"


def test_a_profile_that_a_later_fold_lacks_stops_the_run_at_once(own: Path, table: Path, tmp_path: Path) -> None:
    for name in FOLDS:
        package = own.parent / f"fold_{name}" / "bmode"
        files = {"model.onnx": json.loads((package / "manifest.json").read_text())["files"]["model.onnx"]}
        edit(package, logit_sd_train=None, fill_profile=None, files=files)
    with pytest.raises(ModelError, match="need a fill profile"):
        run_cohort(table, own, tmp_path / "out", OPTIONS)
    run = run_cohort(table, own, tmp_path / "out", {"setups": ("bmode",), "methods": ("gradcam", "gradient")})
    assert run.exit_code == 0


def test_every_setup_and_member_of_a_fold(cohort: Path, tmp_path: Path) -> None:
    file = write_folds(tmp_path / "models", ("bmode", "swe", "both"))
    for name in FOLDS:
        first = tmp_path / "models" / f"fold_{name}" / "swe"
        edit(Path(shutil.copytree(first, first.with_name("second"))), 0.5, member="second")
    table = tmp_path / "small.csv"
    lines = with_fold(cohort, lambda row: fold_of(row["subject"]), "small.csv").read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[1::2]]))
    shutil.copytree(cohort.parent, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.csv"))
    methods = {"methods": ("layer_ablation",), "fills": ("constant",)}
    assert run_cohort(table, file, tmp_path / "out", methods).counts == {"ok": 6}
    found = {(r["setup"], r["member"], r["scan_id"]): r["margin"] for r in rows(tmp_path / "out", "layers")}
    assert len(found) == 6 * 4
    plain = tiny.write_models(tmp_path / "plain")
    run_cohort(table, plain, tmp_path / "one", methods)
    for row in rows(tmp_path / "one", "layers"):
        for member, part in (("0", 1.0), ("second", 0.5))[: 1 + (row["setup"] == "swe")]:
            scale = FOLDS[fold_of(row["subject"])] * part
            assert found[row["setup"], member, row["scan_id"]] == row["margin"] * scale
