"""The section of example scans: roles, reasons and numbers as text, pictures only of the setups of a role."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from layer_fast.report import write_report
from layer_fast.report.sections.examples import examples
from layer_fast.report.slices import read_pictures
from layer_fast.types import LAYERS
from report.fake_results import make_results, write_examples


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def found(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "examples.json").read_text()))


def section(folder: Path) -> str:
    html = write_report(folder).read_text(encoding="utf-8")
    return html.split('<section id="examples">', 1)[1].split("</section>", 1)[0]


def text(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


def test_every_role_stands_with_its_reason_and_number(results: Path, found: dict[str, Any]) -> None:
    said = text(section(results))
    for entry in found["setups"]:
        for role in entry["roles"]:
            assert role["why"][1:] in said
            if role["scan_id"]:
                assert role["scan_id"] in said
    for scan in found["scans"]:
        assert f"{scan['scan_id']} subject {scan['subject']}, label {scan['label']}" in said
    assert re.search(r"true class case, predicted control, wrong, margin -\d", said)
    assert re.search(r"true class control, predicted control, right, margin -\d", said)


def test_links_of_the_overview_lead_to_the_scans(results: Path, found: dict[str, Any]) -> None:
    html = section(results)
    links = re.findall(r'href="#(scan-\d+)"', html)
    assert sorted(set(links)) == sorted(re.findall(r'<article class="example" id="(scan-\d+)"', html))
    assert len(links) == sum(bool(r["scan_id"]) for e in found["setups"] for r in e["roles"])


def test_panels_are_of_the_setups_of_a_role(results: Path, found: dict[str, Any]) -> None:
    made = examples(found, read_pictures(results / "pictures", found))
    for scan, shown in zip(found["scans"][:2], made["scans"], strict=False):
        own = {e["setup"] for e in found["setups"] if any(r["scan_id"] == scan["scan_id"] for r in e["roles"])}
        captions = [p.caption for p in shown["panels"]]
        assert captions[:2] == ["B-mode, 40 mm deep, 38 mm wide", "layers"]
        maps = {c.partition(": ")[0].removeprefix("Grad-CAM, ") for c in captions if c.startswith("Grad-CAM")}
        titles = {"bmode": "B-mode", "swe": "Shear wave", "both": "B-mode and shear wave"}
        assert maps == {titles[name] for name in own}
        assert len(shown["bars"]) == len(own)
    assert "shear wave" not in " ".join(p.caption for p in made["scans"][1]["panels"][:3])


def test_bars_share_a_scale_and_stand_beside_the_median(results: Path, found: dict[str, Any]) -> None:
    made = examples(found, {})
    bars = [b for scan in made["scans"] for b in scan["bars"] if b["title"] == "B-mode"]
    assert len(bars) > 2 and all(b["axis"] == bars[0]["axis"] for b in bars)
    entry = found["setups"][0]
    first = made["scans"][0]["bars"][0]
    medians = [entry["medians"]["positive"]["layers"][name] for name in LAYERS]
    assert [float(r["median"]) for r in first["rows"]] == pytest.approx(medians, abs=0.006)
    assert [r["title"].replace(" ", "_") for r in first["rows"] if r["top"]] == [entry["top_layer"]]
    assert all(scan["no_picture"] for scan in made["scans"]), "without files every scan says why"


def test_a_folder_of_another_version_says_so(tmp_path: Path) -> None:
    folder = make_results(tmp_path)
    (folder / "examples.json").unlink()
    assert "Not here: this folder holds no examples.json" in section(folder)
    write_examples(folder, {"setups": [], "scans": []})
    assert "none is an example" in section(folder)
