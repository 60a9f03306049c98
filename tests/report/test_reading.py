"""The page can be read: by eye in both colour schemes, by a screen reader, by keyboard, and on paper."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import layer_fast.report
from layer_fast.report import write_report
from layer_fast.report.style import CASE_COLOUR, COLOURS, CONTROL_COLOUR, GROUP_COLOUR
from report.fake_further import write_further
from report.fake_results import make_results

CSS = (Path(layer_fast.report.__file__).parent / "report.css").read_text()
VARIABLES = re.compile(r"--([a-z]+): ([^;]+);")


class Elements(HTMLParser):
    """Every start tag with its attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_further(make_results(tmp_path_factory.mktemp("reading")))
    claims = json.loads((folder / "claims.json").read_text())
    claims["cells"] += [{**c, "fill": "constant"} for c in claims["cells"] if c["method"] == "layer_shapley"]
    (folder / "claims.json").write_text(json.dumps(claims))
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(html: str) -> list[tuple[str, dict[str, str]]]:
    return Elements(html).found


def schemes() -> dict[str, dict[str, str]]:
    light = dict(VARIABLES.findall(CSS.split("@media", 1)[0]))
    dark = CSS.split("prefers-color-scheme: dark", 1)[1].split("}\n}", 1)[0]
    return {"light": light, "dark": light | dict(VARIABLES.findall(dark))}


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "card", "warn"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str, ground: str) -> None:
    own = schemes()[scheme]
    for ink in ("ink", "soft", "found", "open", "fails"):
        assert contrast(rgb(own[ink]), rgb(own[ground])) >= 4.5, ink


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", [*COLOURS.values(), GROUP_COLOUR])
def test_the_line_of_an_interval_shows_on_its_bar(scheme: str, colour: str) -> None:
    own = schemes()[scheme]
    share, ground = float(own["bar"]), rgb(own["ground"])
    bar = tuple(share * c + (1 - share) * g for c, g in zip(rgb(colour), ground, strict=True))
    assert contrast(rgb(own["ink"]), bar) >= 3.0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_classes_show_on_the_page(scheme: str) -> None:
    ground = rgb(schemes()[scheme]["ground"])
    assert min(contrast(rgb(c), ground) for c in (CASE_COLOUR, CONTROL_COLOUR)) >= 3.0


def test_headings_leave_out_no_level(elements: list[tuple[str, dict[str, str]]]) -> None:
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert {2, 3, 4} <= set(levels)


def test_every_header_cell_says_what_it_heads(elements: list[tuple[str, dict[str, str]]]) -> None:
    heads = [attributes.get("scope") for tag, attributes in elements if tag == "th"]
    assert len(heads) > 200 and set(heads) == {"col", "colgroup", "row"}


def test_every_row_of_a_table_has_a_header(html: str) -> None:
    bodies = re.findall(r"<tbody>(.*?)</tbody>", html, flags=re.S)
    rows = [row for body in bodies for row in re.findall(r"<tr(.*?)</tr>", body, flags=re.S)]
    assert len(rows) > 150
    assert [row for row in rows if '<th scope="row"' not in row and not row.startswith(' class="axis"')] == []


def test_pictures_and_figures_have_words(elements: list[tuple[str, dict[str, str]]]) -> None:
    alts = [a["alt"] for tag, a in elements if tag == "img"]
    assert len(alts) == len(set(alts)) == 6, "two pictures of the same words could not be told apart"
    for tag, a in elements:
        if tag == "svg":
            assert a.get("aria-hidden") == "true" or (a["role"] == "img" and a["aria-label"])


def test_links_lead_somewhere_and_names_are_unique(elements: list[tuple[str, dict[str, str]]]) -> None:
    names = [a["id"] for _, a in elements if "id" in a]
    links = [a["href"] for tag, a in elements if tag == "a"]
    assert len(names) == len(set(names))
    assert len(links) > 20 and {link[1:] for link in links} <= set(names)
    sections = {a["id"] for tag, a in elements if tag == "section"} - {"answer"}
    assert sections <= {link[1:] for link in links}, "every section is one step from the top"


def test_paper_gets_no_rule_for_narrow_screens() -> None:
    """A printer's page can be narrower than 860 px: wide tables would be cut into blocks there."""
    wide = re.findall(r"@media ([^{]*max-width[^{]*)", CSS)
    assert wide and all(rule.startswith("screen and") for rule in wide)
    assert ":focus-visible" in CSS
