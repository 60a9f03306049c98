"""Write report.html: one file, no script, nothing fetched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import LayerFastError
from ..files import write_atomic
from .context import FURTHER, build
from .slices import read_pictures
from .style import interval, number, plain

TABLES = ("scans.parquet", "layers.parquet", "coalitions.parquet")
TITLE = "Which tissue layers carry this model's prediction"


def write_report(out_dir: str | Path, *, title: str = TITLE) -> Path:
    """Write out_dir/report.html from claims.json, run.json, the three tables and pictures/*.npz of a results folder.

    games.json, stats.json, guards.json, compare.json and examples.json are shown where they are there and of a version
    that is known. No volume is opened.
    The same files give the same bytes. The tables are hashed for the provenance; only scans.parquet is read.
    Raises LayerFastError for a file that is missing or not what it should be.
    """
    out = Path(out_dir)
    claims, run = _json(out / "claims.json"), _json(out / "run.json")
    further = {name: _further(out / f"{name}.json", known) for name, known in FURTHER.items()}
    pictures = read_pictures(out / "pictures", further["examples"])
    context = build(claims, run, _scans(out / "scans.parquet"), pictures, further)
    hashes = {name: _sha256(out / name) for name in (*TABLES, "claims.json", *(f"{name}.json" for name in FURTHER))}
    target = out / "report.html"
    write_atomic(target, render({"title": title, "hashes": hashes, **context}).encode("utf-8"))
    return target


def render(context: dict[str, Any]) -> str:
    """The template with its context. Every value is escaped; a name that the context lacks is an error."""
    import jinja2
    from markupsafe import Markup

    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # control characters, which HTML cannot hold, show as "?"
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
    environment.filters.update(number=number, interval=interval)
    css = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(css=Markup(css), **context)  # noqa: S704 (our own file)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise LayerFastError(f"{path.name}: expected in the results folder, not found") from None
    except ValueError:
        raise LayerFastError(f"{path.name}: expected JSON, cannot be parsed") from None
    if not isinstance(value, dict):
        raise LayerFastError(f"{path.name}: expected a JSON object, found {type(value).__name__}")
    return value


def _further(path: Path, known: tuple[int, ...]) -> dict[str, Any] | None:
    """None for a file that an older or partial run did not write, or that another version did."""
    value = _json(path) if path.exists() else None
    return value if value is not None and value.get("schema_version") in known else None


def _scans(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        return list(parquet.read_table(path).to_pylist())
    except (OSError, pyarrow.ArrowInvalid):
        raise LayerFastError(f"{path.name}: expected the scan table of a run, cannot be read") from None


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "not there"
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
