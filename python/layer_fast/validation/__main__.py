"""Run the validation: what was planted is found, what was not is not. Resumable: stop it whenever you like.

    python -m layer_fast.validation --out benchmarks/results            every usual part
    python -m layer_fast.validation --part tool --quick --out FOLDER   a small run of one part
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from .parts import PARTS, Part, runner, there
from .store import COMMIT, path_of


def main(arguments: list[str] | None = None) -> int:
    """0 when every part that was asked for is done, 1 when one is not installed."""
    parser = argparse.ArgumentParser(prog="python -m layer_fast.validation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of validation_PART.json")
    parser.add_argument("--quick", action="store_true", help="small sizes and other seeds; for trying it out")
    parser.add_argument("--part", action="append", choices=[part.name for part in PARTS], help="this part; repeatable")
    parser.add_argument("--commit", default="", help="commit of the source, written into the results")
    given = parser.parse_args(arguments)
    if given.commit:
        os.environ[COMMIT] = given.commit
    asked = [part for part in PARTS if (part.name in given.part if given.part else part.usual)]
    missing = [part.name for part in asked if not there(part)]
    if given.part and missing:
        print(f"expected the parts {', '.join(given.part)}, not installed: {', '.join(missing)}", file=sys.stderr)
        return 1
    asked = [part for part in asked if there(part)]
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"{len(asked)} parts, about {_length(asked, given.quick)} on two cores if none is done", file=sys.stderr)
    for part in asked:
        start = time.monotonic()
        print(f"{part.name}: {part.asks}, about {_length([part], given.quick)}", file=sys.stderr)
        runner(part)(path_of(given.out, part.name, given.quick), given.quick)
        print(f"{part.name}: done in {time.monotonic() - start:.0f} s", file=sys.stderr)
    return 0


def _length(parts: list[Part], quick: bool) -> str:
    if quick:
        return f"{sum(part.quick_seconds for part in parts):.0f} s"
    return f"{sum(part.minutes for part in parts):.0f} minutes"


if __name__ == "__main__":
    sys.exit(main())
