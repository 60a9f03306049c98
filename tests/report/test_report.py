"""report.html: whole, self-contained, deterministic, and deaf to what the tables say."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layer_fast.errors import LayerFastError
from layer_fast.report import layer_table_rows, layer_table_text, write_report
from report.fake_further import confounding, write_further
from report.fake_results import RUN, make_results

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background:url(http://evil.example/x)",
    "{{ 7*7 }}{% include 'x' %}",
    "</style></title></td><iframe src=//evil>",
    "<!-- --><svg/onload=alert(1)>",
    "$x^2$ \\frac \x00\x1b[2J\ud800 &lt;b&gt; &amp;",
    '=HYPERLINK("http://evil")',
)


class Dom(HTMLParser):
    """Tags with the names of their attributes, in order; and the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", ()))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_further(make_results(tmp_path_factory.mktemp("results")))
    claims = json.loads((folder / "claims.json").read_text())
    for cell in claims["cells"]:
        if cell["method"] == "layer_shapley":
            cell["confounding"] = confounding()
    (folder / "claims.json").write_text(json.dumps(claims))
    return folder


@pytest.fixture(scope="module")
def html(results: Path) -> str:
    return write_report(results).read_text(encoding="utf-8")


def test_says_what_it_must(html: str) -> None:
    dom = Dom(html)
    text = re.sub(r"\s+", " ", " ".join(dom.texts))
    assert text.count("What this model uses, not what causes pain.") == 2
    assert text.count("Research use only. Not a medical device.") == 2
    assert "Candidate driver: deep fascial membrane" in text
    assert "Cannot be told apart: deep fascial membrane, muscle." in text
    assert text.count("Not checked: holds under a second fill; not explained by geometry or confounders") == 3
    assert "bmode: expected CRC 1f2e, found 0000" in text
    assert "layers_absent:dermis" in text
    assert "This run is not complete" not in text
    assert "AUC over subjects" in text
    for tag in ("section", "table", "figure", "article", "tr", "td"):
        assert len(re.findall(f"<{tag}[ >]", html)) == html.count(f"</{tag}>")


def test_fetches_nothing_and_runs_nothing(html: str) -> None:
    dom = Dom(html)
    tags = {tag for tag, _ in dom.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in dom.values
    assert not re.search(r"https?://|url\(|@import|javascript:", html)
    pictures = [v for v in dom.values if v.startswith("data:")]
    assert len(pictures) == 3 + 3  # slice, layers and one map of two scans; figures are drawn in the page
    assert not any(attribute.startswith("on") for _, names in dom.tags for attribute in names)


def test_same_files_same_bytes(html: str, results: Path) -> None:
    assert write_report(results).read_text(encoding="utf-8") == html


@pytest.fixture(scope="module")
def tags(html: str) -> list[Any]:
    return sorted(Dom(html).tags)


def _hostile_report(results: Path, folder: Path, payload: str) -> Dom:
    shutil.copytree(results, folder)
    engine = {payload: payload, "version": payload, "threads": 1}
    (folder / "run.json").write_text(json.dumps({**RUN, "layer_fast": payload, "engine": engine}))
    _poison(folder, payload)
    return Dom(write_report(folder, title=payload).read_text(encoding="utf-8"))


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_changes_no_tag(results: Path, tags: list[Any], tmp_path: Path, payload: str) -> None:
    dom = _hostile_report(results, tmp_path / "one", payload)
    assert sorted(dom.tags) == tags
    assert not any(v.startswith(("x", "//evil", "http", "javascript")) for v in dom.values)


def _poison(folder: Path, payload: str) -> Path:
    """Every text of claims.json and scans.parquet that is data, not structure, becomes the payload."""
    import pyarrow
    import pyarrow.parquet as parquet

    keep = {"setup", "method", "region", "region_kind", "definition", "comparison", "verdict", "status", "label"}
    keep |= {"positive", "negative"}

    def swap(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: swap(v, k) for k, v in value.items()}
        if isinstance(value, list):  # the gates of an answer are told apart by their names
            return [{**swap(v, key), "name": f"{payload}{i}"} if key == "gates" else swap(v, key)
                    for i, v in enumerate(value)]  # fmt: skip
        if not isinstance(value, str) or key in keep or not value:
            return value
        return f"{value}{payload}" if key in ("text", "why") else payload  # the page reads how these two begin

    claims = json.loads((folder / "claims.json").read_text())
    claims = {**claims, "answers": swap(claims["answers"]), "cells": swap(claims["cells"]),
              "comparisons": swap(claims["comparisons"]), "definitions": swap(claims["definitions"]),
              "caption": payload, "disclaimer": payload, "settings": swap(claims["settings"])}  # fmt: skip
    (folder / "claims.json").write_text(json.dumps(claims))
    keep |= {"name", "question", "by", "level", "family", "pair_kind", "first", "second", "definitions"}
    poison_examples(folder / "examples.json", payload)
    for name in ("games", "stats", "guards", "compare"):
        held = json.loads((folder / f"{name}.json").read_text())
        (folder / f"{name}.json").write_text(json.dumps(swap(held)))
    clean = payload.encode("utf-8", "replace").decode()  # Parquet holds valid UTF-8 only
    rows = parquet.read_table(folder / "scans.parquet").to_pylist()
    free = ("scan_id", "subject", "code", "step", "message")
    rows = [{k: f"{clean}{v}" if k in free and v else v for k, v in row.items()} for row in rows]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "scans.parquet")
    return folder


def poison_examples(path: Path, payload: str) -> None:
    """Every free text of examples.json; scans stay apart by their names."""
    found = json.loads(path.read_text())
    for one in (*found["scans"], *(role for entry in found["setups"] for role in entry["roles"])):
        one |= {k: f"{payload}{v}" for k, v in one.items() if k in ("scan_id", "subject", "label", "class") and v}
        one |= {k: payload for k in ("why", "why_no_picture") if one.get(k)}
    for said in (said for scan in found["scans"] for said in scan["setups"].values()):
        said |= {"true": payload, "predicted": payload}
    path.write_text(json.dumps(found))


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(results, tmp_path / "copy"))


def test_an_unfinished_run_has_a_banner(copy: Path) -> None:
    (copy / "run.json").write_text(json.dumps({**RUN, "complete": False}))
    folder = copy
    assert "This run is not complete" in write_report(folder).read_text(encoding="utf-8")


def test_few_subjects_show_estimates_without_intervals(tmp_path: Path) -> None:
    text = write_report(make_results(tmp_path, subjects=8)).read_text(encoding="utf-8")
    assert "few_subjects" in text
    assert "too few subjects: 8" in text


def test_without_labels_the_means_are_shown(copy: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    from layer_fast.quantify import claims_json, summary

    scans = parquet.read_table(copy / "scans.parquet")
    index = scans.column_names.index("label")
    scans = scans.set_column(index, "label", pyarrow.nulls(len(scans), "string"))
    parquet.write_table(scans, copy / "scans.parquet")
    claims = summary(parquet.read_table(copy / "layers.parquet"), scans, replicates=99)
    (copy / "claims.json").write_bytes(claims_json(claims))
    assert "mean over subjects (logits of the target)" in write_report(copy).read_text(encoding="utf-8")
    assert "[" in layer_table_rows(claims)[6]["bmode"]


def test_terminal_table(results: Path) -> None:
    claims = json.loads((results / "claims.json").read_text())
    rows = layer_table_rows(claims)
    assert list(rows[0]) == ["region", "bmode", "swe", "both"]
    assert rows[5]["region"] == "deep fascial membrane"
    assert rows[5]["bmode"].endswith("]*")
    text = layer_table_text(claims)
    assert text.endswith("What this model uses, not what causes pain. Research use only. Not a medical device.")
    assert layer_table_rows(claims, "smoothgrad") == []
    claims["answers"][0]["text"] = "\x1b[2J evil"
    assert "\x1b" not in layer_table_text(claims)


@pytest.mark.parametrize("name", ["claims.json", "run.json", "scans.parquet"])
def test_missing_and_broken_files_are_named(copy: Path, name: str) -> None:
    folder = copy
    (folder / name).write_bytes(b"\x00 not this")
    with pytest.raises(LayerFastError, match=name):
        write_report(folder)
    (folder / name).unlink()
    with pytest.raises(LayerFastError, match=name):
        write_report(folder)


def test_broken_pictures_are_named(copy: Path) -> None:
    folder = copy
    path = next((folder / "pictures").iterdir())
    path.write_bytes(b"no zip")
    with pytest.raises(LayerFastError, match=path.name):
        write_report(folder)
    np.savez(path, labels=np.zeros((4, 5), np.uint8), bmode=np.zeros((5, 4), np.uint8))
    with pytest.raises(LayerFastError, match="differing: \\['bmode'\\]"):
        write_report(folder)


@pytest.mark.parametrize("name", ["../scans.parquet", "/etc/hostname", "pictures/x.npz"])
def test_a_picture_lies_in_its_folder_or_nowhere(copy: Path, name: str) -> None:
    found = json.loads((copy / "examples.json").read_text())
    found["scans"][0]["picture"] = name
    (copy / "examples.json").write_text(json.dumps(found))
    with pytest.raises(LayerFastError, match=r"expected the name of a file in pictures/"):
        write_report(copy)


def test_a_folder_without_pictures_or_shapley_is_still_a_report(copy: Path) -> None:
    folder = copy
    for path in (folder / "pictures").iterdir():
        path.unlink()
    claims = json.loads((folder / "claims.json").read_text())
    claims["cells"] = [c for c in claims["cells"] if c["method"] == "gradcam"]
    claims["answers"], claims["comparisons"] = [], []
    (folder / "claims.json").write_text(json.dumps(claims))
    text = write_report(folder).read_text(encoding="utf-8")
    assert "this run holds none" in text
    assert text.count("No picture: its file is not in pictures/ any more.") == 2
    assert "neither Shapley values of whole layers nor Grad-CAM" in text


def test_models_of_different_classes_are_named_with_their_own(copy: Path) -> None:
    import pyarrow.parquet as parquet

    from layer_fast.quantify import claims_json, summary

    layers = parquet.read_table(copy / "layers.parquet").to_pylist()
    turned = [{**row, "target": "margin:other-control"} if row["setup"] == "swe" else row for row in layers]
    claims = summary(turned, parquet.read_table(copy / "scans.parquet"), replicates=99)
    (copy / "claims.json").write_bytes(claims_json(claims))
    text = write_report(copy).read_text(encoding="utf-8")
    assert "12 case, 12 control subjects" in text
    assert "0 other, 12 control subjects" in text
