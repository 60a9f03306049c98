"""Example scans of a run: chosen from its tables, read once more, one picture each; and what may go wrong with that."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layer_fast as lf
import tiny
from layer_fast import pipeline
from layer_fast.cli.summary_files import write_summary
from layer_fast.cohort import run_cohort
from layer_fast.examples import map_method, picture_name
from layer_fast.steps import arrive

Found = dict[str, Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 8)


@pytest.fixture(scope="module")
def whole(models: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    run_cohort(table, models, out)
    return out


def read(out: Path) -> Found:
    return dict(json.loads((out / "examples.json").read_text()))


def files(out: Path) -> dict[str, bytes]:
    """What a run keeps of its examples."""
    return {str(p.relative_to(out)): p.read_bytes() for p in [out / "examples.json", *(out / "pictures").glob("*")]}


def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scans that are read from now on."""
    seen: list[str] = []
    real = arrive.arrived

    def counted(item: Any, lane: Any) -> Any:
        seen.append(item.scan_id)
        return real(item, lane)

    monkeypatch.setattr(arrive, "arrived", counted)
    monkeypatch.setattr(pipeline, "arrived", counted)
    return seen


def at_the_end(change: Callable[[], Any]) -> Callable[[int, int, Any], None]:
    """Progress that does something once every scan has its record."""

    def progress(done: int, total: int, record: Any) -> None:
        if done == total:
            change()

    return progress


def test_the_chosen_scans_have_pictures_and_no_others(whole: Path) -> None:
    found = read(whole)
    chosen = [scan["scan_id"] for scan in found["scans"]]
    of_roles = [role["scan_id"] for entry in found["setups"] for role in entry["roles"] if role["scan_id"]]
    assert chosen == list(dict.fromkeys(of_roles)) and len(chosen) < len(of_roles), "scans of several roles once"
    assert [entry["setup"] for entry in found["setups"]] == ["bmode", "swe", "both"]
    assert all(len(entry["roles"]) == 5 for entry in found["setups"])
    names = {path.name for path in (whole / "pictures").iterdir()}
    assert names == {scan["picture"] for scan in found["scans"]} == {picture_name(name) for name in chosen}
    margins = {row["scan_id"]: row for row in tiny.rows(whole, "scans")}
    for scan in found["scans"]:
        for setup, said in scan["setups"].items():
            assert said["margin"] == margins[scan["scan_id"]][f"margin_{setup}"]


def test_a_picture_is_the_middle_slice_with_the_maps_of_the_run(models: Path, table: Path, tmp_path: Path) -> None:
    """The sums of every label in that slice are those that the run itself wrote to slices.parquet."""
    run_cohort(table, models, tmp_path / "out", {"store": ("slices",)})
    slices, middle, found_any = tiny.rows(tmp_path / "out", "slices"), tiny.GRID[0] // 2, set()
    keys = {row["scan_id"]: row["key"] for row in tiny.rows(tmp_path / "out", "scans")}
    for scan in read(tmp_path / "out")["scans"]:
        name = scan["scan_id"]
        with np.load(tmp_path / "out" / "pictures" / scan["picture"], allow_pickle=False) as file:
            held = {key: file[key] for key in file.files}
        assert (str(held["scan_id"]), str(held["key"]), str(held["method"])) == (name, keys[name], "gradcam")
        np.testing.assert_array_equal(held["bmode"], tiny.bmode(int(name[1:]))[middle])
        np.testing.assert_array_equal(held["swe"], tiny.swe(int(name[1:]))[middle])
        np.testing.assert_array_equal(held["labels"], tiny.labels()[middle])
        np.testing.assert_allclose(held["spacing_mm"], tiny.SPACING, rtol=1e-7)  # the header holds float32
        rows = [row for row in slices if row["scan_id"] == name]
        assert len(rows) == 3 * 7
        for row in rows:
            own = held[f"map_{row['setup']}"][held["labels"] == row["label_value"]]
            assert own.sum(dtype=np.float64) == pytest.approx(row["sum"][middle], rel=1e-5, abs=1e-6)
            found_any |= {row["setup"]} if own.any() else set()
    assert len(found_any) > 1, "maps of zeros alone would say nothing"


def test_a_resumed_run_opens_nothing_and_changes_nothing(
    whole: Path, models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    seen = begun(monkeypatch)
    assert run_cohort(table, models, out).reused == 8
    assert seen == [] and files(out) == files(whole)
    gone = read(out)["scans"][1]
    path = out / "pictures" / gone["picture"]
    torn = bytearray(path.read_bytes())
    torn[100:120] = bytes(20)  # in the first array
    for data in (b"torn", bytes(torn)):
        path.write_bytes(data)
        seen.clear()
        run_cohort(table, models, out)
        assert seen == [gone["scan_id"]] and files(out) == files(whole)


@pytest.mark.parametrize("options", [{"lanes": 1}, {"lanes": 3}])
def test_the_same_bytes_whatever_ran_beside(
    whole: Path, models: Path, table: Path, tmp_path: Path, options: Any
) -> None:
    run_cohort(list(reversed(lf.load_table(table))), models, tmp_path / "out", options)
    assert files(tmp_path / "out") == files(whole)


def test_other_options_are_other_records_and_other_pictures(models: Path, table: Path, tmp_path: Path) -> None:
    run_cohort(table, models, tmp_path / "out", {"methods": ("gradcam",), "setups": ("bmode",)})
    first = files(tmp_path / "out")
    assert read(tmp_path / "out")["setups"][0]["column"] == "share_of_labelled"
    run_cohort(table, models, tmp_path / "out", {"methods": ("layer_shapley",), "setups": ("bmode",)})
    found = read(tmp_path / "out")
    assert found["map_method"] is None and found["setups"][0]["column"] == "value"
    for path in (tmp_path / "out" / "pictures").iterdir():
        with np.load(path) as held:
            assert not [name for name in held.files if name.startswith("map_")]
    run_cohort(table, models, tmp_path / "out", {"methods": ("gradcam",), "setups": ("bmode",)})
    assert files(tmp_path / "out") == first


def test_a_scan_that_cannot_be_read_any_more_costs_its_picture(
    whole: Path, models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tiny.write_cohort(tmp_path / "c", 8)
    victim = read(whole)["scans"][0]["scan_id"]
    lost = tmp_path / "c" / f"b{int(victim[1:])}.nii.gz"
    run = run_cohort(table, models, tmp_path / "out", progress=at_the_end(lost.unlink))
    assert run.exit_code == 0 and run.counts == {"ok": 8}
    found = read(tmp_path / "out")
    first, *rest = found["scans"]
    assert first["picture"] is None and "read again for its picture: read, " in first["why_no_picture"]
    assert all(scan["picture"] for scan in rest) and len(list((tmp_path / "out/pictures").iterdir())) == len(rest)
    assert victim in caplog.text
    assert found["setups"] == read(whole)["setups"], "the choice is of the tables"
    write_summary(tmp_path / "out")
    assert "No picture: read again" in (tmp_path / "out" / "report.html").read_text()


def test_a_file_that_changed_since_gives_no_picture(whole: Path, models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 8)
    victim = read(whole)["scans"][0]["scan_id"]
    other = tmp_path / "c" / f"b{int(victim[1:])}.nii.gz"
    run_cohort(table, models, tmp_path / "out", progress=at_the_end(lambda: tiny.write_volume(other, tiny.bmode(99))))
    assert "have changed" in read(tmp_path / "out")["scans"][0]["why_no_picture"]
    assert not (tmp_path / "out" / "pictures" / picture_name(victim)).exists()
    run_cohort(table, models, tmp_path / "out")
    assert all(scan["picture"] for scan in read(tmp_path / "out")["scans"]), "a new record and its picture"


def test_a_stopped_run_reads_nothing_for_pictures(
    models: Path, table: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    seen = begun(monkeypatch)
    run = run_cohort(table, models, tmp_path / "out", progress=at_the_end(stop.set), stop=stop)
    assert run.complete and len(seen) == 8, "every scan once"
    assert all("stopped" in scan["why_no_picture"] for scan in read(tmp_path / "out")["scans"])
    run_cohort(table, models, tmp_path / "out")
    assert files(tmp_path / "out") == files(whole)


def test_pictures_are_bounded_and_none_on_request(whole: Path, models: Path, table: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    run_cohort(table, models, out, {"pictures": 2})
    kept = [scan["picture"] for scan in read(out)["scans"]]
    assert [bool(name) for name in kept] == [True, True] + [False] * (len(kept) - 2)
    run_cohort(table, models, out, {"pictures": 0})
    assert list((out / "pictures").iterdir()) == []
    assert read(out)["setups"] == read(whole)["setups"]
    write_summary(out)
    text = (out / "report.html").read_text()
    assert "This run kept no pictures" in text and "data:image" not in text


def test_the_report_of_a_folder_opens_no_volume(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 8)
    out = tmp_path / "out"
    run_cohort(table, models, out)
    write_summary(out)
    before = (out / "report.html").read_bytes()
    shutil.rmtree(tmp_path / "c")
    write_summary(out)
    assert (out / "report.html").read_bytes() == before
    text = before.decode()
    for scan in read(out)["scans"]:
        assert f">{scan['scan_id']} <" in text
        for entry in read(out)["setups"]:
            for role in entry["roles"]:
                assert role["why"][1:] in text


def test_a_member_that_was_killed_leaves_nothing_half_made(
    whole: Path, models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third picture's rename fails: two are there, examples.json is not; the next run makes the rest."""
    real, left = os.replace, [2]

    def replace(source: Any, target: Any) -> None:
        if str(target).endswith(".npz"):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        run_cohort(table, models, tmp_path / "out")
    assert not (tmp_path / "out" / "examples.json").exists()
    monkeypatch.undo()
    seen = begun(monkeypatch)
    run_cohort(table, models, tmp_path / "out")
    assert len(seen) == len(read(whole)["scans"]) - 2 and files(tmp_path / "out") == files(whole)


def test_the_map_of_the_pictures() -> None:
    assert map_method(("hirescam", "gradient")) == "hirescam"
    assert map_method(("smoothgrad", "layer_shapley")) == "smoothgrad"
    assert map_method(("layer_shapley",)) is None
