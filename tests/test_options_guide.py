"""docs/guides/options.md has every option of a run, with its default and whether it is part of a record's key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from layer_fast.config import RunConfig, read_config

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "guides" / "options.md"


def shown(value: Any) -> str:
    """A default as the guide writes it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one:g}" for name, one in value.items())
    if isinstance(value, tuple):
        return ", ".join(value) or "empty"
    return "null" if value is None else str(value) or "empty"


def test_every_option_is_written_down_with_its_default_and_its_part_in_the_key() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([a-z_]+) \| ([^|]*) \| (yes|no) \| [^|]+ \|$", text, flags=re.M)
    found = {name: (default, key) for name, default, key in lines}
    config = RunConfig()
    in_key = config.result_part()
    held = {name: (shown(getattr(config, name)), "yes" if name in in_key else "no") for name in RunConfig.model_fields}
    assert found == held
    assert len(lines) == len(held)


def test_the_example_is_taken(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.S)
    (tmp_path / "options.yaml").write_text(example)
    assert read_config(tmp_path / "options.yaml").max_bad_share == 0.2
