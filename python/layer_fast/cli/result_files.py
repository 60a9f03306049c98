"""The results of a run as verbs open them: held while something is written, and a sentence for what is no table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ..errors import ConfigError, LayerFastError
from ..ledger import locked
from ..tables import SCAN_COLUMNS

NEEDED = ("layers.parquet", "scans.parquet", "run.json")
_TABLES = ("scans", "layers", "coalitions", "guards", "histograms", "slices")


def run_tables(results: Path) -> list[Path]:
    """The tables that only a run can make again: no verb may be told to write over one."""
    return [path for name in _TABLES if (path := results / f"{name}.parquet").exists()]


@contextmanager
def writing(results: Path) -> Iterator[None]:
    """Hold the results of a run while files are written beside its tables, so that no run replaces them meanwhile.

    Raises LockedError where a run or another verb is writing there, LayerFastError for a folder without results and
    for tables that do not fit each other.
    """
    for name in NEEDED:
        if not (results / name).is_file():
            raise LayerFastError(f"{results}: expected the results of a run, found no {name}")
    with locked(results), judging(results):
        yield


def writing_to(results: Path, out: Path) -> AbstractContextManager[None]:
    """As `writing` where `out` lies among the results; else they are only read, which needs no lock."""
    return writing(results) if out.resolve().parent == results.resolve() else judging(results)


@contextmanager
def judging(results: Path) -> Iterator[None]:
    """What the statistics say of tables that they cannot take, with the folder's name."""
    try:
        yield
    except ValueError as error:
        raise LayerFastError(f"{results}: {error}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A file that is there and no Parquet table, or half of one, in a sentence with its name."""
    import pyarrow

    try:
        yield
    except FileNotFoundError:
        raise LayerFastError(f"{path}: expected a table of a run, found no such file") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise LayerFastError(f"{path}: expected a table of a run, cannot be read ({type(error).__name__}); the command "
                             f"of the run makes it anew from its records") from error  # fmt: skip


def table_of(path: Path, **options: Any) -> Any:
    """A Parquet file as a pyarrow Table. Raises LayerFastError with its name."""
    import pyarrow.parquet as parquet

    with reading(path):
        return parquet.read_table(path, **options)


def opened(path: Path) -> Any:
    """A pyarrow ParquetFile, to be used as a context manager. Raises LayerFastError with its name."""
    import pyarrow.parquet as parquet

    with reading(path):
        return parquet.ParquetFile(path)


def layers_of(results: Path) -> Any:
    """layers.parquet with the columns that statistics read."""
    from ..quantify.tables import read_layers

    with reading(results / "layers.parquet"):
        return read_layers(results / "layers.parquet")


def own_columns(names: list[str]) -> list[str]:
    """The user's own columns of scans.parquet, fold and label_unit among them."""
    return [name for name in names if name not in SCAN_COLUMNS or name in ("fold", "label_unit")]


def check_by(by: tuple[str, ...], names: list[str]) -> None:
    """Refuse columns to stratify by that scans.parquet (columns `names`) does not have. Raises ConfigError."""
    own = own_columns(names)
    if unknown := [name for name in by if name not in (*own, "label", "exposure", "mask", "status")]:
        raise ConfigError(f"--by {unknown[0]}: expected columns of the cohort table, found: {', '.join(own) or 'none'}")
