"""What the README tells a reader to type works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from layer_fast.phantom import make_cohort
from pages import claims

ROOT = Path(__file__).resolve().parent.parent


def test_the_lines_of_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    folder = re.search(r"results/[\w-]+", code)
    assert folder is not None
    make_cohort(tmp_path / folder.group(), subjects=2, scans_per_subject=2)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102  (the README is ours)
    assert getattr(names["small"], "shape", None) == (12, 80, 32)
    assert capsys.readouterr().out.count("deep_fascial_membrane") == 4


def test_the_map_made_elsewhere_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from layer_fast.cli import main

    section = (ROOT / "README.md").read_text().split("## A map made elsewhere")[1]
    folder, command = re.findall(r"^cd (\S+).*\n(layer-fast .*)$", section, flags=re.M)[0]
    make_cohort(tmp_path / folder, subjects=2, scans_per_subject=2)
    monkeypatch.chdir(tmp_path / folder)
    assert main(command.split()[1:]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["region", "voxels", "mean", "share_of_labelled", "auc_iou"]


def test_every_verb_and_linked_file_exists() -> None:
    from layer_fast.cli.app import app

    text = (ROOT / "README.md").read_text()
    verbs = re.search(r"has the verbs `([^`]+)`", text)
    assert verbs is not None
    known = {name for name in app if not name.startswith("-")}
    assert set(verbs.group(1).split(", ")) == known
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).is_file(), link
    targets = re.findall(r"^make (\w+)", text, flags=re.M)
    assert {"demo", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)


def test_numbers_are_those_of_the_results_files() -> None:
    """A new measurement moves the sentence: put the one that is shown here into the README."""
    text = (ROOT / "README.md").read_text()
    files = {name: ROOT / f"benchmarks/results/{name}_cpu.json" for name in ("headline", "graphs", "ops", "evidence")}
    held = {name: json.loads(file.read_text()) for name, file in files.items()}
    sentences = [claims.headline(held["headline"]), claims.gradients(held["graphs"]), claims.maps(held["graphs"])]
    sentences.append(claims.evidence(held["evidence"]))
    for sentence in (*sentences, *claims.operations(held["ops"]), claims.counts()):
        assert sentence in text
