"""Numbers say what they are: gates, effects, units, classes, what is missing."""

from __future__ import annotations

import copy
import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from layer_fast.report import write_report
from layer_fast.report.sections.answers import answers, gate_tables, gate_value
from layer_fast.report.sections.classes import class_names
from layer_fast.report.sections.comparisons import not_made
from layer_fast.report.sections.definitions import definitions
from layer_fast.report.sections.guards import guards
from layer_fast.report.sections.layers import methods
from layer_fast.report.sections.record import about, banner
from layer_fast.report.sections.statistics import statistics
from layer_fast.report.sections.words import counted
from layer_fast.report.style import power_of_ten
from layer_fast.report.terminal import layer_table_text
from report.fake_further import guard_entries, write_further
from report.fake_results import make_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_further(make_results(tmp_path_factory.mktemp("words")))


@pytest.fixture(scope="module")
def claims(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "claims.json").read_text()))


@pytest.fixture(scope="module")
def text(results: Path) -> str:
    html = write_report(results).read_text(encoding="utf-8").split("<body>")[1]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


@pytest.mark.parametrize(("name", "value", "said"), [
    ("subjects", 24.0, "24 subjects"), ("auc", 0.8789, "lower limit 0.879"), ("contrast", 0.003, "p 0.0030"),
    ("resolved", 0.25, "unresolved in 25 % of scans"), ("geometry_and_confounders", -0.507, "AUC ahead by -0.51"),
    ("mask_sensitivity", "3 of 4", "3 of 4 masks"), ("exposure", "24 unseen, 0 seen", "24 unseen, 0 seen"),
    ("second_fill", "constant: deep_fat, p = 0.25", "constant: deep fat, p = 0.25"), ("auc", None, ""),
])  # fmt: skip
def test_the_number_of_a_gate_says_what_it_is(name: str, value: Any, said: str) -> None:
    assert gate_value(name, value) == said


def test_a_gate_that_was_not_checked_says_what_it_needs(claims: dict[str, Any], text: str) -> None:
    rows = [row for table in gate_tables(answers(claims)) for row in table["rows"]]
    cells = [gate for row in rows for gate in row["gates"] if gate["state"] == "unchecked"]
    assert len(cells) == 9
    assert {g["reason"].split()[0] for g in cells} == {"needs"}
    assert text.count("not checked: needs --guards mask_perturbation") == 3


def test_the_card_has_the_contrast_of_the_top_and_the_next_layer(claims: dict[str, Any]) -> None:
    for card in answers(claims):
        cell = next(c for c in claims["cells"] if c["method"] == "layer_shapley" and c["setup"] == card["setup"])
        d = {r["region"]: r["contrast"]["estimate"] for r in cell["regions"] if r["region_kind"] == "layer"}
        first, second = sorted(d, key=lambda name: -d[name])[:2]
        found = re.fullmatch(r"D: (.+?) (-?[\d.]+) \[.+?\], next (.+?) (-?[\d.]+) \[.+?\] \((.+)\)\.", card["effect"])
        assert found is not None and found[5] == cell["units"]
        assert (found[1].replace(" ", "_"), found[3].replace(" ", "_")) == (first, second)
        assert (float(found[2]), float(found[4])) == pytest.approx((d[first], d[second]), abs=6e-4)


def test_effects_stand_on_the_page(claims: dict[str, Any], text: str) -> None:
    effects = [card["effect"] for card in answers(claims)]
    assert all(effects) and [text.count(effect) for effect in effects] == [1, 1, 1]
    assert text.index(effects[2]) < text.index("gate, and what it asks")


def test_without_a_contrast_the_card_has_no_effect(claims: dict[str, Any]) -> None:
    bare = copy.deepcopy(claims)
    for cell in bare["cells"]:
        for region in cell["regions"]:
            region["contrast"] |= dict.fromkeys(("estimate", "low", "high"))
    assert [card["effect"] for card in answers(bare)] == ["", "", ""]


def test_one_is_and_several_are() -> None:
    assert counted("Every checked gate holds; 1 are not checked.") == "Every checked gate holds; 1 is not checked."
    assert counted("Every checked gate holds; 0 are not checked.") == "Every checked gate holds."
    assert counted("Every checked gate holds; 11 are not checked.") == "Every checked gate holds; 11 are not checked."


def test_the_terminal_counts_as_well(claims: dict[str, Any]) -> None:
    one = copy.deepcopy(claims)
    one["answers"][0]["text"] = "Candidate driver: muscle. Every checked gate holds; 1 are not checked."
    assert "holds; 1 is not checked." in layer_table_text(one)


def test_comparisons_that_cannot_be_made_are_named(claims: dict[str, Any]) -> None:
    assert not_made(claims) == []
    without = [c for c in claims["comparisons"] if c["setup"] != "both"]
    assert not_made({**claims, "comparisons": without}) == [
        "This run has no setup B-mode and shear wave, so that muscle against non-muscle stands here for others only."
    ]
    assert len(not_made({**claims, "comparisons": []})) == 2


def test_the_page_says_what_it_cannot_compare_and_shows_means_without_labels(results: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(results, tmp_path / "copy"))
    found = json.loads((folder / "claims.json").read_text())
    found["comparisons"] = [c for c in found["comparisons"] if c["setup"] != "both"]
    gate = found["answers"][0]["gates"][0] | {"passed": False, "value": None, "reason": "no number here"}
    found["answers"][0]["gates"][0] = gate
    for cell in found["cells"]:
        cell |= {"n_case": 0, "n_control": 0}
    (folder / "claims.json").write_text(json.dumps(found))
    html = write_report(folder).read_text(encoding="utf-8")
    assert not_made(found)[0] in html
    assert '<b>✗</b> <span class="soft">no number here</span>' in html.replace("  ", " ")
    assert html.count(">Shapley: mean<") == 3 and ">Shapley: D<" not in html


def test_the_classes_have_their_names_where_all_setups_agree(claims: dict[str, Any], text: str) -> None:
    assert class_names(claims["cells"]) == ("case", "control")
    assert "over the subjects of case less that over control" in text
    other = [{**claims["cells"][0], "negative": None}, {**claims["cells"][0], "positive": "flare"}]
    assert class_names(other[:1]) == ("case", "all others")
    assert class_names(other) == ("the first class", "the second class")


def test_every_head_names_models_and_masks(claims: dict[str, Any], text: str) -> None:
    assert "24 subjects" in text and "Classifiers: toy. Layer masks: manual." in text
    many = [{**claims["cells"][0], "model": f"m{i}"} for i in range(6)]
    assert about(many) == "Classifiers: m0, m1, m2, m3 and 2 more. Layer masks: manual."
    assert about([]) == ""


def test_every_status_is_explained(text: str) -> None:
    found = text.split(" Failures and flags ", 1)[1].split("Scans without numbers")[0]
    assert "failed 1 no numbers: the software or the machine is at fault" in found
    assert "ok 48 numbers quarantined 1 no numbers: the input is at fault" in found


def test_the_banner_says_what_is_missing() -> None:
    waiting = [{"status": "pending"}, {"status": "ok"}]
    assert banner({"complete": True}, waiting[1:]) == ""
    assert "1 of 2 scans have not been run" in banner({"complete": False}, waiting)
    assert banner({"complete": False}, waiting[1:]).startswith("This run is not complete: it has not ended.")


def test_small_columns_have_a_power_of_ten_in_the_head(claims: dict[str, Any]) -> None:
    assert power_of_ten(0.5) == power_of_ten(0.0) == (1.0, "")
    assert power_of_ten(4.5e-3) == (pytest.approx(1e-3), " × 10⁻³")
    small = copy.deepcopy([c for c in claims["cells"] if c["method"] == "gradcam"][:1])
    for r in small[0]["regions"]:
        r["contrast"] |= {n: None if r["contrast"][n] is None else 1e-5 * r["contrast"][n] for n in ("low", "high")}
        r["contrast"]["estimate"] = 2.5e-5
    cell = methods(small, claims["definitions"])[0]["cells"][0]
    assert cell["times"] == " × 10⁻⁵" and all(r["d"].startswith("2.500 [") for r in cell["rows"])


def test_why_a_method_supports_no_claim_is_said_once(claims: dict[str, Any], text: str) -> None:
    found = {m["name"]: m for m in methods(claims["cells"], claims["definitions"])}
    assert found["layer_shapley"]["only"] == ""
    assert found["gradcam"]["only"] == "Descriptive only: this method reads a map, so it supports no claim."
    assert text.count("Descriptive only") == 2  # Grad-CAM and removal, three setups each


def test_muscle_stands_against_the_rest_with_one_sign(results: Path, claims: dict[str, Any]) -> None:
    stats = json.loads((results / "stats.json").read_text())
    rows = [r for r in statistics(stats)["groups"] if r["definition"] == "layer_shapley"]
    turned = [r for r in rows if r["what"] == "non-muscle less muscle"]
    assert len(turned) == 3 and {r["what"] for r in rows} == {"non-muscle less muscle", "fascia less fat"}
    for row, setup in zip(turned, ("bmode", "swe", "both"), strict=True):
        above = next(c for c in claims["comparisons"] if c["comparison"] == "muscle_against_non_muscle"
                     and c["setup"] == setup and c["method"] == "layer_shapley")  # fmt: skip
        value, low, high = (float(n) for n in re.findall(r"-?[\d.]+", row["estimate"]))
        assert value == pytest.approx(above["difference"]["estimate"], abs=6e-4) and low < value < high
        effect = [float(n) for n in re.findall(r"-?[\d.]+", row["g"])]
        assert effect[1] < effect[0] < effect[2] and (effect[0] > 0) == (value > 0)


def test_reasons_for_what_was_not_compared_stand_once(results: Path) -> None:
    found = json.loads((results / "compare.json").read_text())
    lines = definitions(found)["skipped"]
    assert len({line["why"] for line in lines}) == len(lines) < 8
    names = [name for line in lines for name in line["definitions"].split(", ")]
    assert sorted(names) == sorted({one["definition"] for c in found["cells"] for one in c["not_compared"]})
    assert any(line["definitions"].startswith("median, ") for line in lines)


def test_families_of_definitions_say_what_they_read(results: Path, text: str) -> None:
    found = {f["name"]: f["why"] for f in json.loads((results / "compare.json").read_text())["families"]}
    assert f"density {found['density']} mean, " in text and f"peak {found['peak']} " in text


def test_a_guard_that_is_a_gate_has_its_number_in_words() -> None:
    entry = next(e for e in guard_entries() if e["name"] == "mask_sensitivity")
    entry |= {"statistic": "see the gate", "value": "2 of 3", "fired": True}
    assert guards({"guards": [entry]})[0]["lines"][0]["value"] == "2 of 3 masks"
    entry |= {"name": "geometry_and_confounders", "value": 0.125}
    assert guards({"guards": [entry]})[0]["lines"][0]["value"] == "AUC ahead by 0.12"
