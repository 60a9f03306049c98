"""Results under the verbs that read and write beside them: never while a run is at work, never over its tables, and
what is broken is named."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
from pathlib import Path

import pytest

import tiny
from layer_fast import cohort
from layer_fast.cli import main
from layer_fast.cohort import run_cohort
from layer_fast.errors import ConfigError, LockedError
from layer_fast.ledger import locked

VERBS = {
    "report": ["report", "{}"],
    "stats": ["stats", "{}"],
    "compare": ["compare", "{}"],
    "requantify": ["requantify", "{}"],
    "definitions": ["requantify", "{}", "--definition", "mean"],
    "target": ["requantify", "{}", "--target", "margin:control-case"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    tiny.write_models(folder / "models", ("bmode",))
    run_cohort(tiny.write_cohort(folder / "c", 8), folder / "models", folder / "out")
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def call(verb: str, results: Path) -> int:
    return main([word.format(results) for word in VERBS[verb]])


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_writes_beside_a_run_at_work(verb: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(results):
        before = files(results)
        assert call(verb, results) == 75
        assert files(results) == before
    assert "another run is writing here" in capsys.readouterr().err
    assert call(verb, results) == 0


def test_a_table_elsewhere_needs_no_lock(results: Path, tmp_path: Path) -> None:
    with locked(results):
        assert main(["requantify", str(results), "--definition", "mean", "--out", str(tmp_path / "m.csv")]) == 0
    assert (tmp_path / "m.csv").stat().st_size > 0


@pytest.mark.parametrize("name", ["layers", "scans", "coalitions", "guards"])
@pytest.mark.parametrize("option", [["requantify", "--definition", "mean", "--out"],
                                    ["requantify", "--target", "margin:control-case", "--out"], ["stats", "--long"]])
def test_a_table_of_the_run_is_never_the_output(
    option: list[str], name: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(results)
    verb, *rest = option
    assert main([verb, str(results), *rest, str(results / f"{name}.parquet")]) == 1
    assert f"{name}.parquet: expected another file than the input" in capsys.readouterr().err
    assert files(results) == before


@pytest.mark.parametrize("damage", ["cut", "other"])
@pytest.mark.parametrize("name", ["layers", "scans", "coalitions"])
def test_a_broken_table_is_named(name: str, damage: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-300] if damage == "cut" else b"scan_id,subject\n")
    for verb in ("report", "requantify", "target"):
        if (verb, name) in (("requantify", "scans"), ("target", "scans")):
            continue  # they do not read it
        assert call(verb, results) == 1
        assert f"{name}.parquet: expected a table of a run, cannot be read" in capsys.readouterr().err


def test_tables_that_do_not_fit_each_other_are_a_sentence(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads((results / "run.json").read_text())
    for model in facts["models"]:
        if model["target"] is not None:
            model["target"]["positive"], model["target"]["negative"] = "control", "case"
    (results / "run.json").write_text(json.dumps(facts))
    assert call("report", results) == 1
    assert f"{results}: [summary] targets: expected the classes of" in capsys.readouterr().err.replace("\n", " ")


def test_the_tables_of_a_run_that_was_killed_are_not_sold_as_its_own(
    made: Path, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after the scans and before the tables: run.json is of the new run, the tables are of the old one."""
    table = made / "c" / "cohort.csv"
    with monkeypatch.context() as patch:
        patch.setattr(cohort, "write_tables", lambda *_: (_ for _ in ()).throw(SystemExit(9)))
        with pytest.raises(SystemExit):
            run_cohort(table, made / "models", results, {"fills": ("constant",)})
    before = files(results)
    for verb in VERBS:
        assert call(verb, results) == 1
        assert "expected a run that has ended" in capsys.readouterr().err
    assert files(results) == before
    assert run_cohort(table, made / "models", results, {"fills": ("constant",)}).reused == 8
    assert call("report", results) == 0


def test_strata_reach_the_report(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results), "--by", "age"]) == 0
    assert "age: 23" in (results / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(results)]) == 0
    assert "age: 23" not in (results / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(results), "--by", "clinic"]) == 1
    assert "--by clinic: expected columns of the cohort table, found: " in capsys.readouterr().err


def test_a_lock_keeps_whatever_lies_under_its_name(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("mine")
    with locked(tmp_path), pytest.raises(LockedError), locked(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".lock").unlink()
    (tmp_path / ".lock").symlink_to(tmp_path / "notes.txt")
    with pytest.raises(OSError, match=r"\.lock"), locked(tmp_path):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_is_no_folder_of_results(made: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "out"):
        with pytest.raises(ConfigError, match="expected a folder for the results, found a file"):
            run_cohort(made / "c" / "cohort.csv", made / "models", out)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_system_without_locks_is_not_called_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match=r"can be locked \(flock\).*No locks available"), locked(tmp_path):
        pass
