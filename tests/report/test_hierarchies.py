"""The report says which answers another way from scans to subjects changes."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from layer_fast.report import write_report
from layer_fast.report.sections.definitions import definitions
from report.fake_further import write_further
from report.fake_results import make_results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_further(make_results(tmp_path_factory.mktemp("hierarchies")))


def text_of(results: Path) -> str:
    found = write_report(results).read_text(encoding="utf-8").split('<section id="definitions">')[1].split("</section>")
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", found[0])))


def compared(results: Path) -> dict[str, Any]:
    return dict(json.loads((results / "compare.json").read_text()))


def test_answers_that_change_stand_beside_the_plain_ones(results: Path) -> None:
    found = compared(results)
    for cell in found["cells"]:
        for one in cell["hierarchies"]:
            one["changes"] = []
    with_maps = next(c for c in found["cells"] if c["method"] == "gradcam" and not c["channel"])
    with_maps["hierarchies"][0]["changes"] = [{"question": "top_mean", "plain": "muscle", "answer": "deep_fat"}]
    (results / "compare.json").write_text(json.dumps(found))
    one, text = with_maps["hierarchies"][0], text_of(results)
    n = definitions(found)["hierarchies"]["n"]
    assert n > 1 and f"{n} times a definition was run beside itself" in text and "Answers that change:" in text
    assert f"{one['definition']} ({one['hierarchy']}) highest layer (mean over subjects) muscle deep fat" in text


def test_no_change_and_no_hierarchy_are_said_too(results: Path) -> None:
    found = compared(results)
    for cell in found["cells"]:
        for one in cell["hierarchies"]:
            one["changes"] = []
    (results / "compare.json").write_text(json.dumps(found))
    assert "No answer changes." in text_of(results)
    for cell in found["cells"]:
        cell["hierarchies"] = []
    (results / "compare.json").write_text(json.dumps(found))
    assert "Another way from scans to subjects" not in text_of(results)
