"""Shapley values under every fill, in closed form: a network that reads the means of two layers, weights set by hand.

v(S) = sum over k of a_k times (own mean of layer k where k is in S, else the fill's mean there), so phi_k =
a_k (own mean - the fill's mean).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import layer_fast as lf
import tiny
import tolerances
from layer_fast.config import make_config
from layer_fast.errors import ConfigError, ModelError
from layer_fast.fills import FILL_FACTS, FILLS
from layer_fast.models import depth_bins
from layer_fast.types import REGIONS

READS = {4: 2.0, 6: -1.0}  # layer -> what its mean counts


def mean_reader() -> bytes:
    labels = tiny.labels().ravel()
    weight = sum(a * (labels == k) / (labels == k).sum() for k, a in READS.items())
    weights = {"fc": np.stack([np.zeros_like(weight), weight], axis=1), "fb": np.zeros(2)}
    nodes = [
        helper.make_node("Identity", ["image"], ["features"]),
        helper.make_node("Flatten", ["features"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc", "fb"], ["logits"]),
    ]
    return tiny._model(nodes, weights, 1, ["batch", 2])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    tiny._package(folder / "reader", "classifier", "bmode", mean_reader())
    return folder


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "input", scans=6, masks=True)


OPTIONS: dict[str, Any] = {"methods": ("layer_ablation", "layer_shapley"), "setups": ("bmode",)}


@pytest.fixture(scope="module")
def record(package: Path, cohort: Path) -> lf.ScanRecord:
    pipeline = lf.Pipeline(package, {**OPTIONS, "fills": FILLS, "donors": str(cohort)})
    found = pipeline.process(lf.load_table(cohort)[0])
    assert found.status == "ok", found.message
    return found


def image(seed: int) -> np.ndarray:
    return (tiny.bmode(seed) / 255.0).astype(np.float32).astype(float)


def filled_mean(fill: str, layer: int, record: lf.ScanRecord) -> float:
    """Mean of the fill over the layer, by its own formula."""
    inside = tiny.labels() == layer
    profile = np.random.default_rng(5).uniform(0.1, 0.9, (1, 7, 16)).round(3)[0]
    if fill == "cohort_profile":
        return float(profile[layer][depth_bins(tiny.labels(), 16)[inside]].mean())
    if fill == "constant":
        return float(profile.mean())
    if fill == "donor":  # every scan has the same layers at the same places
        (flag,) = {r["flags"] for r in record.layers if r["fill"] == "donor"}
        return float(image(DONOR[flag])[inside].mean())
    own = image(0)
    assert fill == "blur"
    places = np.argwhere(~inside)
    sd = np.array(tiny.GRID) / 8
    weight = lambda at: np.exp(-0.5 * (((places - at) / sd) ** 2).sum(axis=1))  # noqa: E731
    return float(np.mean([(weight(at) @ own[~inside]) / weight(at).sum() for at in np.argwhere(inside)]))


DONOR: dict[str, int] = {}


@pytest.fixture(scope="module", autouse=True)
def known_donors(package: Path, cohort: Path) -> None:
    """sha256 of a donor -> its number in the tiny cohort."""
    donors = lf.Pipeline(package, {**OPTIONS, "fills": ("donor",), "donors": str(cohort)}).donors
    assert donors is not None and sorted(donors.sha256) == donors.sha256
    for fact in donors.facts():
        DONOR[f"donor:{fact['sha256'][:12]}"] = int(fact["scan_id"][1:])


def values(record: lf.ScanRecord, method: str, fill: str) -> dict[str, float]:
    rows = [r for r in record.layers if (r["method"], r["fill"], r["region_kind"]) == (method, fill, "layer")]
    return {r["region"]: r["value"] for r in rows}


@pytest.mark.parametrize("method", ["layer_shapley", "layer_ablation"])
@pytest.mark.parametrize("fill", [name for name in FILLS if FILL_FACTS[name].removes_content])
def test_a_mean_reader_in_closed_form(record: lf.ScanRecord, fill: str, method: str) -> None:
    found = values(record, method, fill)
    for k, name in enumerate(REGIONS[1:], start=1):
        own = image(0)[tiny.labels() == k].mean()
        want = READS.get(k, 0.0) * (own - filled_mean(fill, k, record)) if k in READS else 0.0
        assert found[name] == pytest.approx(want, abs=tolerances.ENGINE_ATOL), name
    assert abs(found["deep_fat"]) > 0.001


@pytest.mark.parametrize("fill", ["layer_mean", "shuffle"])
def test_diagnostics_are_blind_to_a_mean_reader(record: lf.ScanRecord, fill: str) -> None:
    found = values(record, "layer_shapley", fill)
    assert max(map(abs, found.values())) <= tolerances.BLIND_FILL
    assert max(map(abs, values(record, "layer_shapley", "constant").values())) > 0.1


def test_every_fill_has_its_own_coalitions_and_one_whole_scan(record: lf.ScanRecord) -> None:
    logits = {(r["fill"], r["output"]): r["values"] for r in record.coalitions}
    assert {fill for fill, _ in logits} == set(FILLS) and all(len(v) == 128 for v in logits.values())
    assert len({logits[fill, "logit:case"][127] for fill in FILLS}) == 1
    assert len({logits[fill, "logit:case"][0] for fill in FILLS if FILL_FACTS[fill].removes_content}) == 4


def test_the_donor_is_another_subject_and_in_the_key(package: Path, cohort: Path, tmp_path: Path) -> None:
    refs = lf.load_table(cohort)
    pipeline = lf.Pipeline(package, {**OPTIONS, "fills": ("constant", "donor"), "donors": str(cohort)})
    assert pipeline.donors is not None
    for ref in refs:
        found = pipeline.process(ref)
        (flag,) = {r["flags"] for r in found.layers if r["fill"] == "donor"}
        assert refs[DONOR[flag]].subject != ref.subject
        assert not any("donor" in r["flags"] for r in found.layers if r["fill"] == "constant")
    other = tiny.write_cohort(tmp_path / "other", scans=8, masks=True)  # more donors: some scans get another
    keys = [[lf.Pipeline(package, {**OPTIONS, "fills": ("donor",), "donors": str(table)}).process(ref).key
             for ref in refs] for table in (cohort, other)]  # fmt: skip
    assert keys[0] != keys[1]


def test_every_fill_is_the_same_in_every_run_and_is_kept(package: Path, cohort: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "fills": FILLS, "donors": str(cohort)}
    for lanes in (1, 3):
        assert lf.run_cohort(cohort, package, tmp_path / str(lanes), {**options, "lanes": lanes}).exit_code == 0
    assert tiny.table_bytes(tmp_path / "1") == tiny.table_bytes(tmp_path / "3")
    assert lf.run_cohort(cohort, package, tmp_path / "1", options).reused == 6
    fewer = {**options, "fills": FILLS[:2]}
    assert lf.run_cohort(cohort, package, tmp_path / "1", fewer).reused == 0, "other fills are other records"


def test_donors_that_do_not_fit_are_refused_before_the_first_scan(package: Path, cohort: Path, tmp_path: Path) -> None:
    ask = {**OPTIONS, "fills": ("donor",)}
    with pytest.raises(ConfigError, match="option donors: expected a cohort table"):
        lf.Pipeline(package, ask)
    with pytest.raises(ConfigError, match="two subjects or more"):
        lf.Pipeline(package, {**ask, "donors": str(tiny.write_cohort(tmp_path / "one", scans=2, masks=True))})
    with pytest.raises(ConfigError, match="donor 's000': expected a mask"):
        lf.Pipeline(package, {**ask, "donors": str(tiny.write_cohort(tmp_path / "bare", scans=4))})
    table = tiny.write_cohort(tmp_path / "thin", scans=4, masks=True)
    tiny.write_volume(table.parent / "m2.nii.gz", np.minimum(tiny.labels(), 5).astype(np.uint8))
    with pytest.raises(ConfigError, match=r"donor 's002': .*lacks muscle"):
        lf.Pipeline(package, {**ask, "donors": str(table)})


def test_unknown_fills_are_refused_by_name_and_the_order_is_fixed() -> None:
    with pytest.raises(ConfigError, match="unknown fill 'noise'; known: cohort_profile, constant"):
        make_config({"fills": ("noise",)})
    with pytest.raises(ConfigError, match="at least one fill"):
        make_config({"fills": ()})
    assert make_config({"fills": ("blur", "constant")}).fills == ("constant", "blur")


def test_a_package_without_a_profile_can_be_asked_for_other_fills(tmp_path: Path, cohort: Path) -> None:
    import json

    tiny._package(tmp_path / "reader", "classifier", "bmode", mean_reader())
    file = tmp_path / "reader" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["fill_profile"], manifest["logit_sd_train"], manifest["files"]["fill_profile.json"]
    file.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="need a fill profile"):
        lf.Pipeline(tmp_path, {**OPTIONS, "fills": ("constant", "blur")})
    assert lf.Pipeline(tmp_path, {**OPTIONS, "fills": ("blur",)}).process(lf.load_table(cohort)[0]).status == "ok"
