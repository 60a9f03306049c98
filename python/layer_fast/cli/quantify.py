"""quantify: a map made elsewhere and a mask become numbers per layer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..elsewhere import MapTable, quantify_map, write_table
from ..elsewhere.table import check_out
from ..errors import ConfigError
from ..files import read_yaml
from ..quantify import DEFAULT_REDUCTIONS, HIERARCHY_PRESETS, REDUCTIONS, Reduction, read_reductions
from ..report.style import number, plain
from ..report.terminal import grid

_FILES = (".yaml", ".yml", ".json")


def run_quantify(
    found: Path,
    mask: Path,
    definitions: tuple[str, ...] | None,
    layers: Path | None,
    out: Path | None,
    *,
    invert: Any,
    as_json: bool,
) -> int:
    chosen = [one for word in definitions or DEFAULT_REDUCTIONS for one in definitions_of(word)]
    inputs = [found, mask, *([layers] if layers else []), *(Path(w) for w in definitions or () if _is_file(w))]
    target = None if out is None else check_out(out, *(path for path in inputs if path.exists()))
    options = _layers(layers) if layers is not None else {}
    table = quantify_map(found, mask, definitions=chosen, invert=invert, **options)
    if target is not None:
        write_table(table, target)
    if as_json:
        print(json.dumps(table.as_dict(), sort_keys=True, allow_nan=False))
    else:
        print(_text(table))
    if target is not None:
        print(f"wrote {plain(str(target))}", file=sys.stderr)
    return 0


def _is_file(word: str) -> bool:
    return word.lower().endswith(_FILES)


def definitions_of(word: str) -> list[Reduction]:
    """The definitions that a word of the command line means: a file of them, or a name."""
    if _is_file(word):
        return read_reductions(word)
    known = {**REDUCTIONS, **HIERARCHY_PRESETS}
    if word not in known:
        kinds = ", ".join(_FILES)
        raise ConfigError(f"--definition {word}: expected a file ({kinds}) or one of {', '.join(known)}")
    return [known[word]]


def _layers(path: Path) -> dict[str, Any]:
    """What a file says of the mask: layers, and groups of them (none where it says nothing)."""
    content = read_yaml(path)
    if not isinstance(content, dict) or not {"layers"} <= set(content) <= {"layers", "groups"}:
        raise ConfigError(f"{path}: expected a mapping with layers and, if wanted, groups")
    groups = content.get("groups") or {}
    if not isinstance(groups, dict):
        raise ConfigError(f"{path}: groups: expected a mapping, found {type(groups).__name__}")
    from ..elsewhere.anatomy import label_names

    try:
        label_names(content["layers"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {str(error).removeprefix('[layers] ')}") from None
    return {"layers": content["layers"], "groups": groups}


def _text(table: MapTable) -> str:
    """A grid of regions by definitions for every channel, what is to be said of the map, the caption."""
    lines: list[str] = []
    for channel in dict.fromkeys(row["channel"] for row in table.rows):
        rows = [row for row in table.rows if row["channel"] == channel]
        names = dict.fromkeys(row["definition"] for row in rows)
        columns = {name: [row for row in rows if row["definition"] == name] for name in names}
        lines += [f"channel {channel}"] if channel else []
        lines += [*grid(_lines(columns)), ""]
    for one in table.facts["definitions"]:
        lines.append(f"{one['name']} [{one['sha256']}] = {one['facts']['formula']}; {one['steps']}")
        lines += [f"  {why}"] if (why := one["facts"]["across_layers"]) else []
    flags = sorted({flag for row in table.rows for flag in row["flags"].split(";") if flag})
    lines += [f"flags: {', '.join(flags)}"] if flags else []
    if "looks_inverted" in table.facts["flags"]:
        lines.append("looks_inverted: most of the map lies at its maximum, as MONAI's default normaliser leaves it; "
                     "--invert one_minus turns it back")  # fmt: skip
    lines += ["", f"{table.facts['caption']} {table.facts['disclaimer']}"]
    return "\n".join(plain(line) for line in lines)


def _lines(columns: dict[str, list[dict[str, Any]]]) -> list[dict[str, str]]:
    regions = list(dict.fromkeys((r["region_kind"], r["region"], r["n_voxels"]) for c in columns.values() for r in c))
    out = []
    for kind, name, n in regions:
        line = {"region": f"{name} (group)" if kind == "group" else name, "voxels": str(n)}
        for definition, rows in columns.items():
            scale = max((abs(r["value"]) for r in rows if r["value"] == r["value"]), default=1.0)
            mine = [r["value"] for r in rows if (r["region_kind"], r["region"], r["n_voxels"]) == (kind, name, n)]
            line[definition] = number(mine[0] if mine and mine[0] == mine[0] else None, 3, scale)
        out.append(line)
    return out
