"""The command as a user meets it: exit codes, data on stdout, messages on stderr."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny


def layer_fast(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layer_fast", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    tiny.write_models(folder / "models")
    tiny.write_cohort(folder / "cohort", 8)
    return folder


def test_version_and_help_say_what_it_is_not() -> None:
    for flag in ("--version", "--help"):
        done = layer_fast(flag)
        assert done.returncode == 0
        assert "Not a medical device" in done.stdout.replace("\n", " ").replace("  ", " ")


def test_a_run_writes_tables_and_report(place: Path, tmp_path: Path) -> None:
    done = layer_fast("run", place / "cohort/cohort.csv", "--models", place / "models", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["counts"] == {"ok": 8}
    assert facts["complete"] is True
    tables = ("scans.parquet", "layers.parquet", "coalitions.parquet")
    for name in (*tables, "claims.json", "games.json", "run.json", "report.html"):
        assert (tmp_path / name).stat().st_size > 0
    assert "bottleneck" not in done.stdout
    again = layer_fast("report", tmp_path)
    assert again.returncode == 0
    assert "muscle" in again.stdout


def test_a_report_of_another_versions_results_is_refused(tmp_path: Path) -> None:
    for name in ("layers.parquet", "scans.parquet"):
        (tmp_path / name).write_bytes(b"never read")
    for old in ({"models": []}, {"models": [], "result_version": 1}):
        (tmp_path / "run.json").write_text(json.dumps(old))
        done = layer_fast("report", tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert f"found version {old.get('result_version')}" in " ".join(done.stderr.split())


def test_setups_that_share_a_name_keep_their_own_logit_sd(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "models", tmp_path / "models")
    for sd, setup in ((2.0, "bmode"), (4.0, "swe")):
        path = tmp_path / "models" / setup / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "name": "tiny", "logit_sd_train": sd}))
    out = ("--models", tmp_path / "models", "--out", tmp_path / "out", "--setups", "bmode", "swe")
    done = layer_fast("run", place / "cohort/cohort.csv", *out)
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "out" / "claims.json").read_text())["cells"]
    assert {(c["setup"], c["logit_sd"]) for c in cells if c["logit_sd"]} == {("bmode", 2.0), ("swe", 4.0)}


def test_bad_scans_give_exit_code_3_and_are_named(place: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 8)
    (tmp_path / "c" / "b5.nii.gz").write_bytes(b"nothing")
    done = layer_fast("run", table, "--models", place / "models", "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "s005" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere.csv"), "nowhere.csv"),
        (("run", "{table}", "--models", "{out}"), "expected"),
        (("run", "{table}", "--methods", "magic"), "magic"),
        (("run", "{table}", "--surprise"), "surprise"),
        (("report", "{out}"), "layers.parquet"),
        (("phantom", "{out}/p", "--driver", "bone"), "bone"),
    ],
)
def test_wrong_use_is_exit_code_1_and_clear(place: Path, tmp_path: Path, arguments: tuple[str], said: str) -> None:
    filled = [a.format(table=place / "cohort/cohort.csv", out=tmp_path) for a in arguments]
    done = layer_fast(*filled)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_info_and_doctor_speak_json(place: Path) -> None:
    described = json.loads(layer_fast("info", place / "models", "--json").stdout)
    assert {d["role"] for d in described} == {"segmenter", "classifier"}
    doctor = json.loads(layer_fast("doctor", "--json").stdout)
    assert doctor["engines"]["onnxruntime"][0].isdigit()
    assert doctor["native"]["cuda_devices"] or doctor["native"]["cuda_reason"]
    found = doctor["engines"]["openvino"]
    assert found.removeprefix("missing: ") in layer_fast("doctor").stdout, "the hint names the extra in its brackets"


def test_ctrl_c_drains_and_the_same_command_goes_on(place: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 300)
    arguments = ["run", str(table), "--models", str(place / "models"), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "layer_fast", *arguments]
    one = {**os.environ, "LAYER_FAST_THREADS": "1"}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=one)
    ledger = tmp_path / "out" / "ledger"
    while len(list(ledger.glob("*/*.json"))) < 5:
        assert running.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    done = len(list(ledger.glob("*/*.json")))
    assert 5 <= done < 300
    again = json.loads(layer_fast(*arguments, "--json").stdout)
    assert again["counts"] == {"ok": 300}
    assert again["reused"] == done
