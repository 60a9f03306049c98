"""Fold maps: what a file may say, and what every fold must share so that a column of the tables is one thing."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import layer_fast as lf
from layer_fast.cli import main
from layer_fast.errors import ModelError
from layer_fast.models.folds import fold_name
from tiny_folds import edit, write_folds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folds(tmp_path_factory.mktemp("folds") / "models")


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made.parent, tmp_path / "models")) / "folds.yaml"


def test_a_map_is_read_relative_to_itself(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    folds = lf.load_folds(made)
    assert list(folds.folds) == ["a", "b", "c"]
    b = folds.models("b")
    assert [p.manifest.name for p in b.packages] == ["tiny_segmenter_bmode", "tiny-b"]
    assert [folds.shown_name(p) for p in b.packages] == ["tiny_segmenter_bmode", "tiny"], "one name for all folds"
    assert b.classifiers["bmode"][0].manifest.logit_sd_train == 2.0
    held = [len(p.model_bytes) for m in folds.folds.values() for p in m.packages]
    assert set(held) == {0}, "graphs are read for one fold at a time"
    assert len(b.packages[1].model_bytes) > 0
    with pytest.raises(ModelError, match="expected one of the folds a, b, c, found 'd'"):
        folds.models("d")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1", "1"), ("1.0", "1"), (1, "1"), (1.0, "1"), ("01", "01"), (" a ", "a"), ("1.5", "1.5")],
)
def test_names_of_folds(given: object, expected: str) -> None:
    assert fold_name(given) == expected


def test_whole_numbers_need_no_quotes_and_lists_name_several_packages(made: Path) -> None:
    file = made.with_name("numbers.yaml")
    file.write_text("folds:\n  1: [common/segmenter, fold_a/bmode]\n  2.0: [common, fold_b]\nname: tiny\n")
    assert list(lf.load_folds(file).folds) == ["1", "2"]


CONTENT = {
    "folds: {a: fold_a}\nnmae: tiny": r"nmae: Extra inputs",
    "folds: {}": r"folds: .*at least 1",
    "fold_a": r"the file: Input should be a valid dictionary",
    "name: tiny": r"folds: Field required",
    "folds: {a: []}": r"folds\.a: .*at least 1",
    "folds: {a: 3}": r"folds\.a: .*valid list",
    "folds: {yes: fold_a}": r"found True, which is true or false in YAML: put the name in quotes",
    "folds: {2026-11-22: fold_a}": r"which is a date in YAML: put the name in quotes",
    "folds: {1: fold_a, '1.0': fold_b}": r"every fold once, found '1' twice",
    "folds:\n  a: fold_a\n  a: fold_b": r"the key 'a' more than once",
    'folds: {"a\\nb": fold_a}': r"expected names of folds",
    "folds: {a: fold_a}\nname: 'two words'": r"name: String should match",
    "folds: {a: ../nowhere}": r"fold 'a': .*nowhere: expected a model package.*found no such folder",
    "folds: {a: fold_a/bmode/model.onnx}": r"fold 'a': .*model\.onnx: expected a model package",
    "folds: {a: common}": r"fold 'a': expected a classifier at least, found none",
    "folds: {a: [fold_a, fold_b]}": r"fold 'a': setup bmode: expected one package per member",
    "folds: {a: reference}": r"reference: expected a model package",
    'folds: {a: "fold\\0_a"}': r"folds\.a\.0: .*printable",
    "folds: {a: fold_a, b: [fold_b, unused_b]}\nname: tiny": r"same setups and members in every fold, found "
    r"classifier/bmode/0 in fold 'a' and classifier/bmode/0, segmenter in fold 'b'",
    "folds: {a: fold_a, b: fold_b}": r"one name for the models of all folds, found 'tiny-a' in fold 'a' and 'tiny-b' "
    r"in fold 'b'; write one .* name: tiny$",
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENT, ids=range(len(CONTENT)))
def test_what_a_map_may_not_say(made: Path, content: str) -> None:
    file = made.with_name("bad.yaml")
    file.write_text(content)
    with pytest.raises(ModelError, match=re.compile(CONTENT[content], re.DOTALL)) as found:
        lf.load_folds(file)
    assert str(file) in str(found.value)


DIFFER: dict[str, tuple[Callable[[Path], None], str]] = {
    "classes": (lambda p: edit(p, classes=["healthy", "case"], target={"positive": "case", "negative": "healthy"}),
                r"classes: expected \['control', 'case'\] as in fold 'a' .*, found \['healthy', 'case'\] in fold 'b'"),
    "order of classes": (lambda p: edit(p, classes=["case", "control"]), r"classes: expected"),
    "target": (lambda p: edit(p, target={"positive": "control", "negative": "case"}), r"target: expected"),
    "ordinal": (lambda p: edit(p, ordinal=True), r"ordinal: expected False as in fold 'a' .*, found True in fold 'b'"),
    "cam_tensor": (lambda p: edit(p, cam_tensor="conv"), r"cam_tensor: expected features .*, found conv in fold 'b'"),
    "antialias": (lambda p: edit(p, antialias=False), r"antialias: expected True"),
    "member": (lambda p: edit(p, member="b"), r"same setups and members.*bmode/0, segmenter in fold 'a' and .*bmode/b"),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFER)
def test_folds_that_are_not_one_thing(own: Path, what: str) -> None:
    change, said = DIFFER[what]
    change(own.parent / "fold_b" / "bmode")
    with pytest.raises(ModelError, match=re.compile(said, re.DOTALL)):
        lf.load_folds(own)


def test_a_logit_sd_in_some_folds_only(own: Path) -> None:
    package = own.parent / "fold_b" / "bmode"
    (package / "fill_profile.json").unlink()
    files = {"model.onnx": json.loads((package / "manifest.json").read_text())["files"]["model.onnx"]}
    edit(package, logit_sd_train=None, fill_profile=None, files=files)
    with pytest.raises(ModelError, match="logit_sd_train of every fold's bmode or of none, found none in fold 'b'"):
        lf.load_folds(own)


def test_two_folds_may_share_a_package_and_info_says_so(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own.write_text("common: common\nfolds: {a: fold_a, b: fold_b, d: fold_b}\nname: tiny\n")
    assert main(["info", str(own)]) == 0
    said = capsys.readouterr().out
    assert "fold map of 3 folds: a, b, d" in said and "also in fold d" in said and "tiny-b, tiny in the tables" in said
    assert main(["info", str(own), "--json"]) == 0
    assert '"training_subjects": 4' in capsys.readouterr().out


def test_a_package_that_changes_after_the_check_is_refused(own: Path) -> None:
    folds = lf.load_folds(own)
    edit(own.parent / "fold_b" / "bmode", 2.0)
    folds.models("a")
    with pytest.raises(ModelError, match="fold 'b': its packages have changed since the map was checked"):
        folds.models("b")


def test_a_map_that_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ModelError, match="expected a regular file"):
        lf.load_folds(tmp_path / "pipe.yaml")
    with pytest.raises(ModelError, match="expected a readable file"):
        lf.load_folds(tmp_path / "none.yaml")


def test_one_pipeline_takes_no_map(made: Path) -> None:
    with pytest.raises(ModelError, match=r"a fold map goes to .* run_cohort\(models=...\)"):
        lf.Pipeline(made)
