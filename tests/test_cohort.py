"""What a cohort run promises: nothing lost, nothing torn, nothing that depends on neighbours, order or lanes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import layer_fast as lf
import tiny
from layer_fast.cohort import CohortRun, run_cohort
from layer_fast.errors import LockedError
from layer_fast.ledger import Ledger, locked
from tiny import rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 8)


@pytest.fixture(scope="module")
def whole(models: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run = run_cohort(table, models, out)
    assert (run.exit_code, run.counts, run.reused) == (0, {"ok": 8}, 0)
    return out


def test_tables_hold_every_scan_setup_method_and_region(whole: Path) -> None:
    layers = rows(whole, "layers")
    assert len(layers) == 8 * 3 * (1 + 2 * 2) * 11  # gradcam; ablation and Shapley under two fills
    assert len(rows(whole, "coalitions")) == 8 * 3 * 2 * 2
    assert [r["scan_id"] for r in rows(whole, "scans")] == [f"s{i:03d}" for i in range(8)]
    assert {r["exposure"] for r in layers} == {"unseen"}
    assert rows(whole, "scans")[3]["age"] == "23", "the user's own column is carried"
    run = json.loads((whole / "run.json").read_text())
    assert run["complete"] and run["counts"] == {"ok": 8} and "Not a medical device" in run["notice"]


@pytest.mark.parametrize("lanes", [1, 3])
def test_tables_do_not_depend_on_lanes(models: Path, table: Path, whole: Path, tmp_path: Path, lanes: int) -> None:
    run_cohort(table, models, tmp_path / "out", {"lanes": lanes})
    assert tiny.table_bytes(tmp_path / "out") == tiny.table_bytes(whole)


def test_rows_do_not_depend_on_order_or_neighbours(models: Path, table: Path, whole: Path, tmp_path: Path) -> None:
    refs = lf.load_table(table)
    run_cohort([refs[i] for i in (5, 2, 7)], models, tmp_path / "out")
    expected = [r for i in (5, 2, 7) for r in rows(whole, "layers") if r["scan_id"] == f"s{i:03d}"]
    assert repr(rows(tmp_path / "out", "layers")) == repr(expected)


def test_a_second_run_reuses_every_record(models: Path, table: Path, whole: Path) -> None:
    before = tiny.table_bytes(whole)
    run = run_cohort(table, models, whole)
    assert run.reused == 8 and tiny.table_bytes(whole) == before


BREAK = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "missing": lambda path: path.unlink(),
    "not_an_image": lambda path: path.write_bytes(b"hello"),
}


@pytest.mark.parametrize("fault", BREAK)
def test_a_broken_file_costs_that_scan_only(models: Path, table: Path, whole: Path, tmp_path: Path, fault: str) -> None:
    shutil.copytree(table.parent, tmp_path / "c")
    BREAK[fault](tmp_path / "c" / "b3.nii.gz")
    run = run_cohort(tmp_path / "c" / "cohort.csv", models, tmp_path / "out")
    assert run.exit_code == 3 and run.counts == {"ok": 7, "quarantined": 1}
    bad = [r for r in rows(tmp_path / "out", "scans") if r["status"] != "ok"]
    assert [(r["scan_id"], r["step"]) for r in bad] == [("s003", "read")]
    assert bad[0]["code"] and bad[0]["message"]
    expected = [r for r in rows(whole, "layers") if r["scan_id"] != "s003"]
    assert repr(rows(tmp_path / "out", "layers")) == repr(expected)


def test_a_mended_file_is_run_again_and_only_that(models: Path, table: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "c")
    good = (tmp_path / "c" / "b3.nii.gz").read_bytes()
    (tmp_path / "c" / "b3.nii.gz").write_bytes(good[:-9])
    run_cohort(tmp_path / "c" / "cohort.csv", models, tmp_path / "out")
    (tmp_path / "c" / "b3.nii.gz").write_bytes(good)
    run = run_cohort(tmp_path / "c" / "cohort.csv", models, tmp_path / "out")
    assert run.reused == 7 and run.exit_code == 0
    assert tiny.table_bytes(tmp_path / "out") == tiny.table_bytes(whole)


def test_a_changed_input_is_run_again(models: Path, table: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "c")
    run_cohort(tmp_path / "c" / "cohort.csv", models, tmp_path / "out")
    tiny.write_volume(tmp_path / "c" / "b2.nii.gz", tiny.bmode(99))
    assert run_cohort(tmp_path / "c" / "cohort.csv", models, tmp_path / "out").reused == 7


def test_an_option_that_moves_numbers_redoes_all_and_one_that_does_not_redoes_none(
    models: Path, table: Path, tmp_path: Path
) -> None:
    run_cohort(table, models, tmp_path / "out")
    assert run_cohort(table, models, tmp_path / "out", {"lanes": 2, "pictures": 1}).reused == 8
    assert run_cohort(table, models, tmp_path / "out", {"methods": ("gradcam",)}).reused == 0


def test_a_new_label_moves_the_table_and_runs_nothing(models: Path, table: Path, tmp_path: Path) -> None:
    run_cohort(table, models, tmp_path / "out")
    (table.parent / "other.csv").write_text(table.read_text().replace("control", "healthy"))
    run = run_cohort(table.parent / "other.csv", models, tmp_path / "out")
    assert run.reused == 8
    assert {r["label"] for r in rows(tmp_path / "out", "layers")} == {"healthy", "case"}


KILLED = """
import os, sys
real, left = os.replace, [int(sys.argv[4])]
def replace(*args):
    if left[0] == 0:
        os._exit(9)
    left[0] -= 1
    real(*args)
os.replace = replace
from layer_fast.cohort import run_cohort
run_cohort(sys.argv[1], sys.argv[2], sys.argv[3], {"lanes": 1, "scan_batch": 4})
"""


def kill_at(rename: int, table: Path, models: Path, out: Path) -> int:
    arguments = [sys.executable, "-c", KILLED, str(table), str(models), str(out), str(rename)]
    return subprocess.run(arguments, timeout=120, check=False).returncode


@pytest.mark.parametrize("rename", range(0, 30, 4))
def test_killed_at_a_rename_and_started_again(
    models: Path, table: Path, whole: Path, tmp_path: Path, rename: int
) -> None:
    """8 records, at most 8 pictures, run.json and config.yaml twice, examples.json, timings, four tables."""
    out = tmp_path / "out"
    code = kill_at(rename, table, models, out)
    assert code == (9 if rename < 18 + len(list((whole / "pictures").iterdir())) else 0)
    run = run_cohort(table, models, out)
    assert run.exit_code == 0
    assert tiny.table_bytes(out) == tiny.table_bytes(whole)
    assert list(out.rglob("*.tmp")) == [], "nothing half written is left behind"


def test_a_torn_record_is_not_believed(models: Path, table: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    path = Ledger(out / "ledger").path("s004")
    path.write_bytes(path.read_bytes().replace(b'"ok"', b'"kk"', 1))
    assert run_cohort(table, models, out).reused == 7
    assert tiny.table_bytes(out) == tiny.table_bytes(whole)


def test_stopping_keeps_what_is_done_and_says_what_is_pending(models: Path, table: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def after_two(done: int, total: int, record: lf.ScanRecord) -> None:
        if done == 2:
            stop.set()

    options = {"lanes": 1, "scan_batch": 1}
    run: CohortRun = run_cohort(table, models, tmp_path / "out", options, progress=after_two, stop=stop)
    assert not run.complete and run.counts["pending"] >= 4 and run.exit_code == 3
    assert not json.loads((tmp_path / "out" / "run.json").read_text())["complete"]
    again = run_cohort(table, models, tmp_path / "out", options)
    assert again.complete and again.reused == run.counts["ok"]


def test_too_many_bad_scans_stop_the_run(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 30)
    for path in (tmp_path / "c").glob("b*.nii.gz"):
        path.write_bytes(b"")
    run = run_cohort(table, models, tmp_path / "out", {"max_bad_share": 0.1, "lanes": 1, "scan_batch": 1})
    assert run.counts["pending"] >= 15


def test_one_run_at_a_time(models: Path, table: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(LockedError, match="another run"):
        run_cohort(table, models, tmp_path / "out")


def test_given_masks_are_used_and_named(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 2, masks=True)
    run_cohort(table, models, tmp_path / "given")
    run_cohort(table, models, tmp_path / "model", {"mask": "model"})
    assert {r["mask"] for r in rows(tmp_path / "given", "layers")} == {"manual"}
    assert {r["mask"] for r in rows(tmp_path / "model", "layers")} == {"model:tiny_segmenter_bmode"}


def test_a_scan_without_b_mode_has_the_shear_wave_setup_only(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 2, masks=True)
    lines = [line.replace("b1.nii.gz", "") for line in table.read_text().splitlines()]
    table.write_text("\n".join(lines) + "\n")
    run = run_cohort(table, models, tmp_path / "out")
    assert run.counts == {"ok": 2}
    setups = {(r["scan_id"], r["setup"]) for r in rows(tmp_path / "out", "layers")}
    assert ("s001", "swe") in setups and ("s001", "bmode") not in setups and ("s000", "both") in setups


def test_memory_does_not_grow_with_the_cohort(models: Path, table: Path) -> None:
    """1,000 small scans through a stream; measured after a warm-up, in a process of its own."""
    import tolerances

    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import layer_fast as lf
def rss():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
refs = lf.load_table({str(table)!r})
pipeline = lf.Pipeline({str(models)!r}, {{"methods": ("gradcam", "layer_shapley"), "setups": ("bmode",)}})
def cycle(n):
    for i in range(n):
        yield refs[i % len(refs)]
def run(n):
    assert sum(r.status == "ok" for r in pipeline.stream(cycle(n))) == n
run(200)
start = rss()
run(1000)
print((rss() - start) / 1000)
"""
    grown = float(subprocess.check_output([sys.executable, "-c", code], text=True, env=dict(os.environ)))
    assert grown <= tolerances.MIB_PER_SCAN
