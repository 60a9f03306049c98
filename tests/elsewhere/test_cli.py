"""`layer-fast quantify` as a user meets it: files written by nibabel in, tables out, nothing else touched."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import map_files as files
import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml

from layer_fast import quantify_map
from layer_fast.elsewhere import MAP_COLUMNS
from layer_fast.quantify import DEFAULT_REDUCTIONS, REDUCTIONS, reductions_yaml

FASCIAE = ["superficial_fascial_membrane", "deep_fascial_membrane"]
MINE = {
    "name": "mine",
    "sign": "positive",
    "statistic": {"name": "share", "total": "labelled"},
    "mask": {"kind": "eroded", "mm": 0.25},
    "groups": {"fasciae": {"members": FASCIAE, "pooling": "sum_of_shares"}},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    files.mask_file(tmp_path)
    files.save(tmp_path / "map.nii.gz", files.coarse_map(), files.coarse_affine())
    files.save(tmp_path / "maps.nii.gz", files.coarse_map(channels=2), files.coarse_affine())
    return tmp_path


def layer_fast(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layer_fast", "quantify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=place)


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def test_a_table_on_the_terminal(place: Path) -> None:
    before = contents(place)
    done = layer_fast(place, "--map", "map.nii.gz", "--mask", "mask.nii.gz")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["region", "voxels", *DEFAULT_REDUCTIONS]
    assert next(line for line in lines if line.startswith("muscle ")).split()[1] == "288"
    assert f"enrichment [{REDUCTIONS['enrichment'].sha256_short}]" in done.stdout
    assert "never compare averages of it across layers bare" in done.stdout
    assert lines[-1] == "What this model uses, not what causes pain. Research use only. Not a medical device."
    assert contents(place) == before, "only what --out names is written"


def test_tables_and_json_agree_with_the_function(place: Path) -> None:
    (place / "mine.yaml").write_text(yaml.safe_dump(MINE))
    wanted = ("--definition", "mine.yaml", "median", "enrichment")
    expected = quantify_map(place / "map.nii.gz", place / "mask.nii.gz", definitions=[MINE, "median", "enrichment"])
    before = contents(place)
    both = ("--map", "map.nii.gz", "--mask", "mask.nii.gz")
    done = layer_fast(place, *both, *wanted, "--out", "t.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert layer_fast(place, *both, *wanted, "--out", "t.parquet").returncode == 0
    assert set(contents(place)) - set(before) == {"t.csv", "t.parquet"}
    assert {k: v for k, v in contents(place).items() if k in before} == before

    values = [None if np.isnan(row["value"]) else row["value"] for row in expected.rows]
    assert [row["value"] for row in found["rows"]] == values
    with (place / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(MAP_COLUMNS)
    assert [row["value"] for row in rows] == ["NaN" if v is None else repr(v) for v in values]
    assert {row["definition_sha256"] for row in rows} == {d["sha256"] for d in found["definitions"]}
    table = parquet.read_table(place / "t.parquet")
    assert table.column_names == list(MAP_COLUMNS)
    assert repr(table.column("value").to_pylist()) == repr([row["value"] for row in expected.rows])
    facts = json.loads(table.schema.metadata[b"layer_fast_quantify"])
    assert facts["definitions"] == found["definitions"]
    assert [d["name"] for d in facts["definitions"]] == ["mine", "median", "enrichment"]
    assert facts["definitions"][2]["facts"]["cap"] == "n_T / n_L"
    assert facts["sha256"] == expected.facts["sha256"]
    assert len(facts["sha256"]["map"]) == 64


def test_the_same_call_writes_the_same_bytes(place: Path) -> None:
    for name in ("t.csv", "t.parquet"):
        once, twice = [], []
        for out in (once, twice):
            done = layer_fast(place, "--map", "maps.nii.gz", "--mask", "mask.nii.gz", "--out", name)
            assert done.returncode == 0, done.stderr
            out.append((place / name).read_bytes())
        assert once == twice


def test_channels_every_preset_and_inverted_maps(place: Path) -> None:
    both = ("--map", "maps.nii.gz", "--mask", "mask.nii.gz")
    done = layer_fast(place, *both, "--definition", *REDUCTIONS, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert len(rows) == 2 * len(REDUCTIONS) * 11
    assert "channel 1" in layer_fast(place, *both).stdout
    scaled = files.coarse_map() / files.coarse_map().max()
    for name, array in (("up.nii", scaled), ("turned.nii", 1 - scaled)):
        files.save(place / name, array, files.coarse_affine())
    up = layer_fast(place, "--map", "up.nii", "--mask", "mask.nii.gz", "--definition", "mean", "--json")
    turned = layer_fast(place, "--map", "turned.nii", "--mask", "mask.nii.gz", "--definition", "mean", "--json",
                        "--invert", "one_minus")  # fmt: skip
    one, other = (json.loads(x.stdout) for x in (up, turned))
    assert [r["value"] for r in other["rows"]] == pytest.approx([r["value"] for r in one["rows"]], abs=1e-6)
    assert other["definitions"][0]["sha256"] != one["definitions"][0]["sha256"]


def test_layers_of_another_mask(place: Path) -> None:
    files.save(place / "two.nii.gz", (files.labels() > 3).astype(np.uint8) * 7, files.MASK_AFFINE)
    (place / "layers.yaml").write_text("layers: {deep: 7}\ngroups: {everything: {members: [background, deep]}}")
    arguments = ("--map", "map.nii.gz", "--mask", "two.nii.gz", "--definition", "share_of_all", "--json")
    rows = json.loads(layer_fast(place, *arguments, "--layers", "layers.yaml").stdout)["rows"]
    assert [(r["region"], r["label_value"]) for r in rows] == [("background", 0), ("deep", 7), ("everything", None)]
    assert rows[2]["value"] == pytest.approx(1.0)
    (place / "layers.yaml").write_text("[skin, fat]")
    done = layer_fast(place, *arguments, "--layers", "layers.yaml")
    assert "layers.yaml: expected a mapping with layers" in done.stderr
    (place / "layers.yaml").write_text("layers: {deep: 700}")
    done = layer_fast(place, *arguments, "--layers", "layers.yaml")
    assert "layers.yaml: deep: expected a label from 1 to 253, found 700" in done.stderr


def test_the_presets_as_a_file(place: Path) -> None:
    (place / "all.yaml").write_bytes(reductions_yaml(list(REDUCTIONS.values())))
    both = ("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--json")
    by_file = json.loads(layer_fast(place, *both, "--definition", "all.yaml").stdout)
    by_name = json.loads(layer_fast(place, *both, "--definition", *REDUCTIONS).stdout)
    assert by_file["rows"] == by_name["rows"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--map", "absent.nii", "--mask", "mask.nii.gz"), "absent.nii"),
        (("--map", "map.nii.gz", "--mask", "map.nii.gz"), "map.nii.gz"),
        (("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--definition", "LAYER"), "--definition LAYER: expected"),
        (("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--definition", "bad.yaml"), "bad.yaml: statistic.name"),
        (("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--definition", "gone.yaml"), "gone.yaml"),
        (("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--out", "t.xlsx"), "t.xlsx: expected a name ending in .csv"),
        (
            ("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--out", "no/t.csv"),
            "no/t.csv: expected an existing folder",
        ),
        (("--map", "map.nii.gz", "--mask", "mask.nii.gz", "--invert", "one_minus"), "expects a map in 0..1"),
        (("--map", "far.nii.gz", "--mask", "mask.nii.gz"), "far.nii.gz: the map and the mask mask.nii.gz lie"),
        (("--map", "map.nii.gz"), "mask"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(place: Path, arguments: tuple[str, ...], said: str) -> None:
    (place / "bad.yaml").write_text("{name: a, statistic: nothing}")
    far = files.coarse_affine()
    far[2, 3] += 100
    files.save(place / "far.nii.gz", files.coarse_map(), far)
    before = contents(place)
    done = layer_fast(place, *arguments, *(() if "--out" in arguments else ("--out", "t.csv")))
    assert done.returncode == 1, done.stdout
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert contents(place) == before


def test_an_input_is_never_overwritten(place: Path) -> None:
    (place / "link.csv").symlink_to(place / "map.nii.gz")
    done = layer_fast(place, "--map", "map.nii.gz", "--mask", "mask.nii.gz", "--out", "link.csv")
    assert done.returncode == 1
    assert "link.csv: expected another file than the input map.nii.gz" in done.stderr
