"""What each section says, and what it says where its file is not there."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from layer_fast.errors import LayerFastError
from layer_fast.report import write_report
from layer_fast.report.sections.answers import answers, gate_tables
from layer_fast.report.sections.guards import guards
from layer_fast.report.sections.layers import beside
from layer_fast.report.sections.quality import strips
from report.fake_further import confounding, guard_entries, write_further
from report.fake_results import make_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_further(make_results(tmp_path_factory.mktemp("sections")))
    claims = json.loads((folder / "claims.json").read_text())
    cell = next(c for c in claims["cells"] if c["method"] == "layer_shapley" and c["setup"] == "swe")
    cell["confounding"] = confounding()
    claims["cells"] += [{**c, "fill": "constant"} for c in claims["cells"] if c["method"] == "layer_shapley"]
    (folder / "claims.json").write_text(json.dumps(claims))
    return folder


@pytest.fixture(scope="module")
def claims(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "claims.json").read_text()))


@pytest.fixture(scope="module")
def html(results: Path) -> str:
    return write_report(results).read_text(encoding="utf-8")


def section(html: str, name: str) -> str:
    """The words of one section, pictures as their text."""
    found = html.split(f'<section id="{name}">', 1)[1].split("</section>", 1)[0]
    found = re.sub(r'aria-label="([^"]*)"', r">\1<", found)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", found)))


def test_the_answer_comes_first_with_every_gate(html: str, claims: dict[str, Any]) -> None:
    assert html.index('id="answer"') < html.index("<table")
    text = section(html, "answer")
    for gate in claims["answers"][0]["gates"]:
        assert gate["threshold"] in text
    assert text.count("not checked") >= 3 * 2


def test_a_failing_gate_gives_the_reason_and_how_many_more(claims: dict[str, Any]) -> None:
    answer = next(a for a in claims["answers"] if a["setup"] == "both")
    gates = [{**g, "passed": False, "reason": f"reason {i}"} for i, g in enumerate(answer["gates"][:3])]
    for count, more in ((1, "Reason 0."), (2, "Reason 0; one more gate fails."), (3, "Reason 0; 2 more gates fail.")):
        card = answers({**claims, "answers": [{**answer, "gates": gates[:count]}]})[0]
        assert card["why"] == f"{more} Cannot be told apart: deep fascial membrane, muscle."


def test_gates_of_many_answers_are_cut_into_tables(claims: dict[str, Any]) -> None:
    cards = answers(claims)
    tables = gate_tables([*cards, *cards])
    assert [len(t["columns"]) for t in tables] == [4, 2]
    assert {len(r["gates"]) for r in tables[1]["rows"]} == {2}


def test_the_two_comparisons_of_abstracts_lead(html: str) -> None:
    text = section(html, "comparisons")
    first, second = text.index("highest layer: deep fascial membrane"), text.index(" non-muscle 0")
    assert first < second
    assert "mean_minmax_volume" in text
    assert "class contrast D by layer_shapley" in text
    rows = html.split('<section id="comparisons">')[1].split("</section>")[0].split("<tr")[2:]
    leading = [row for row in rows if row.startswith(' class="main"')]
    assert rows[: len(leading)] == leading
    assert "B-mode and shear wave" in leading[-1]


def test_shapley_beside_saliency_shares_a_scale_per_method(claims: dict[str, Any]) -> None:
    cells = [c for c in claims["cells"] if c["fill"] != "constant"]
    table = beside(cells)[0]
    assert len(table["titles"]) == 3
    assert table["columns"] == ["Shapley: D", "Grad-CAM"] * 3
    assert table["axes"][0] == table["axes"][2] == table["axes"][4] != table["axes"][1]
    assert len(table["rows"]) == 11
    assert beside([c for c in cells if c["method"] != "gradcam"]) == []
    two = beside([*cells, *({**c, "model": "other"} for c in cells)])
    assert [[line.partition(":")[0] for line in t["tops"]] for t in two] == [t["titles"] for t in two]
    assert len({title for t in two for title in t["titles"]}) == 6
    last = next(c for c in cells if c["setup"] == "both" and c["method"] == "layer_shapley")
    high = {**last, "regions": [{**r, "contrast": {**r["contrast"], "estimate": 50.0}} for r in last["regions"]]}
    table = beside([high if c is last else c for c in cells])[0]
    assert table["axes"][0] == table["axes"][4]
    assert max(float(t["text"]) for t in table["axes"][0]["ticks"]) > 20


def test_every_figure_has_its_numbers_as_text(html: str) -> None:
    rows = [row for row in html.split("<tr")[1:] if 'class="bar"' in row]
    assert len(rows) > 100
    for row in rows:
        for label in re.findall(r'role="img" aria-label="([^"]*)"', row):
            assert label in re.sub(r"<svg.*?</svg>", "", row, flags=re.S)


def test_fills_stand_side_by_side(html: str, results: Path, tmp_path: Path) -> None:
    text = section(html, "fills")
    assert "cohort_profile constant" in text
    assert text.count("largest contrast deep fascial membrane deep fascial membrane") >= 2
    alone = Path(shutil.copytree(results, tmp_path / "one"))
    held = json.loads((alone / "claims.json").read_text())
    held["cells"] = [c for c in held["cells"] if c["fill"] != "constant"]
    (alone / "claims.json").write_text(json.dumps(held))
    assert section(write_report(alone).read_text(), "fills").count("One fill only, cohort_profile") == 3


def test_definitions_count_families(html: str, results: Path) -> None:
    text = section(html, "definitions")
    found = json.loads((results / "compare.json").read_text())
    assert text.count("changes (") == sum(s["changes"] for s in found["setups"])
    assert text.count("one answer (") == sum(not s["changes"] for s in found["setups"]) > 0
    assert "Grad-CAM density" in text


def test_guards_say_question_value_threshold_and_outcome(html: str) -> None:
    text = section(html, "guards")
    assert "leakage fired in 1 of 1" in text
    assert "May it be the neighbours'? Threshold: > 1/3." in text
    assert "✗ fired B-mode, Grad-CAM mean share: dermis 0.12, muscle 0.75 leaky: muscle" in text
    assert "– not checked Shear wave, Shapley values of whole layers no number not checked: no other mask" in text
    assert text.index("mask sensitivity") < text.index("leakage")  # a gate of the claim first


def test_silent_guards_are_one_line_and_fired_ones_never() -> None:
    entries = guard_entries()
    calm = next(g for g in guards({"guards": entries}) if g["title"] == "low information")
    assert len(calm["lines"]) == 1
    assert calm["lines"][0]["where"].count(";") == 8
    again = [{**e, "fill": "constant"} for e in entries if e["method"] == "layer_shapley"]
    assert guards({"guards": [{**e, "fill": "cohort_profile"} for e in entries] + again}) == guards({"guards": entries})
    loud = guards({"guards": [{**e, "fired": True} for e in entries if e["name"] == "low_information"]})[0]
    assert len(loud["lines"]) == loud["n_fired"] == 9


def test_quality_has_calibration_and_geometry(html: str, results: Path) -> None:
    text = section(html, "quality")
    found = json.loads((results / "stats.json").read_text())["calibration"][0]["brier"]["estimate"]
    assert f"{found:.3f} [" in text
    assert "mask only" in text
    assert "0.62 [0.70, 0.96]" in text
    assert "0.25 [0.05, 0.45] thickness of 6 layers, log_volume" in text
    assert "D of deep fat with thickness, bmi held fixed: 0.375" in text
    assert "12 subjects, " in text


def test_many_subjects_are_histograms_and_few_are_dots() -> None:
    cells = [{"setup": "bmode", "positive": "case", "negative": "control", "levels": None}]
    scans = [{"scan_id": f"s{i}", "subject": f"p{i}", "label": ("case", "control")[i % 2], "status": "ok",
              "margin_bmode": i / 10} for i in range(122)]  # fmt: skip
    few, many = strips(scans[:120], cells), strips(scans, cells)
    assert few is not None and many is not None
    assert (few["binned"], few["rows"][0]["shape"], few["rows"][0]["case"].count("M")) == (False, "dots", 60)
    assert (many["binned"], many["rows"][0]["shape"], many["rows"][0]["case"].count("M")) == (True, "area", 1)
    assert many["rows"][0]["names"] == ["case", "control"]
    assert many["rows"][0]["texts"][0] == "61 subjects, 0.00 to 12.00, median 6.00"


def test_statistics_and_games_show_their_numbers(html: str) -> None:
    text = section(html, "statistics")
    assert "Hedges' g" in text
    assert "non-muscle less muscle" in text and "muscle less non" not in text
    assert "label: case" in text
    text = section(html, "games")
    assert "log-loss, nats" in text
    assert re.search(
        r"\(logits\) class contrast \[95 %\] mean \[95 %\] dermis with muscle -1.750 \[-1.850, -1.650\]", text
    )


@pytest.mark.parametrize(("name", "place"), [
    ("games", "games"), ("stats", "statistics"), ("guards", "guards"), ("compare", "definitions"), ("stats", "quality"),
])  # fmt: skip
def test_a_missing_or_unknown_file_is_one_sentence(results: Path, tmp_path: Path, name: str, place: str) -> None:
    folder = Path(shutil.copytree(results, tmp_path / "copy"))
    said = f"Not here: this folder holds no {name}.json of a version that this report reads."
    (folder / f"{name}.json").write_text(json.dumps({"schema_version": 99}))
    assert said in section(write_report(folder).read_text(), place)
    (folder / f"{name}.json").unlink()
    assert said in section(write_report(folder).read_text(), place)
    (folder / f"{name}.json").write_text("{")
    with pytest.raises(LayerFastError, match=rf"{name}\.json"):
        write_report(folder)
