"""The command `layer-fast`. Data on stdout, everything else on stderr; `--json` on every verb."""

from __future__ import annotations

import sys

from cyclopts import CycloptsError

from ..errors import LayerFastError, LockedError
from . import evidence, stats  # noqa: F401 - their verbs join the app
from .app import app

USAGE, LOCKED = 1, 75


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit code: 0 all ok, 1 usage or internal, 3 finished with bad scans, 75 locked,
    130 and 143 stopped by a signal."""
    try:
        return int(app(arguments, result_action="return_value", exit_on_error=False) or 0)
    except CycloptsError:
        return USAGE  # the library has printed what was wrong
    except LockedError as error:
        _say(error)
        return LOCKED
    except (LayerFastError, OSError) as error:
        _say(error)
        return USAGE
    except KeyboardInterrupt:
        print("layer-fast: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _say(error: Exception) -> None:
    """An error quotes files and tables: line by line, without what commands a terminal."""
    from ..report.style import plain

    for line in f"layer-fast: {error}".split("\n"):
        print(plain(line), file=sys.stderr)
