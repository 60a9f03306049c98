"""Every guard fires on planted failures and not on what is sound: the quick part of the validation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from layer_fast.validation import guards


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rates") / "guards.json"
    guards.run(out, quick=True)
    return out


def test_all_guards_meet_their_goal(rates: Path) -> None:
    document = json.loads(rates.read_text())
    assert guards.failures(document) == []
    both = {"planted", "sound"}
    assert {name: set(kinds) for name, kinds in document["guards"].items()} == dict.fromkeys(
        ("border", "geometry_and_confounders", "inversion", "leakage", "mask_sensitivity", "null_depth",
         "null_other_masks", "randomisation"), both
    )  # fmt: skip


def test_what_was_measured_is_not_measured_again(rates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rates.read_bytes()
    monkeypatch.setattr(guards, "_measure", lambda case: pytest.fail(f"measured {case.name} again"))
    guards.run(rates, quick=True)
    assert rates.read_bytes() == before


def test_a_run_that_is_stopped_loses_nothing(rates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, part = json.loads(rates.read_text()), tmp_path / "guards.json"
    first = next(iter(guards.cases(True)))
    del document["guards"][first.guard]["planted"][first.name]
    part.write_text(json.dumps(document))

    def stop(case: guards.Case) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(guards, "_measure", stop)
    with pytest.raises(KeyboardInterrupt):
        guards.run(part, quick=True)
    assert json.loads(part.read_text()) == document


def test_a_missed_goal_is_named() -> None:
    def rate(fired: int) -> dict[str, float]:
        return {"draws": 20, "fired": fired, "of": 20, "share": fired / 20}

    found = {"planted": {"a": rate(18), "b": rate(17)}, "sound": {"a": rate(2), "b": rate(3)}}
    assert guards.failures({"guards": {"leakage": found}}) == [
        "leakage planted b: 17 of 20", "leakage sound b: 3 of 20",
    ]  # fmt: skip


def test_the_guide_shows_the_rates_that_were_measured() -> None:
    root = Path(__file__).resolve().parents[2]
    document = json.loads((root / "benchmarks" / "results" / "validation_guards.json").read_text())
    text = (root / "docs" / "guides" / "guards.md").read_text(encoding="utf-8").split("## How often they fire")[1]
    assert guards.failures(document) == [] and not document["quick"]
    for name, kinds in document["guards"].items():
        fired, of = ({k: sum(r[what] for r in kinds[k].values()) for k in kinds} for what in ("fired", "of"))
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {fired['planted']} of {of['planted']} |" in row
        assert f"| {fired['sound']} of {of['sound']} |" in row
