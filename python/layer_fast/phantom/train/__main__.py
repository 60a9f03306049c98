"""Command line of the training. Torch is imported only after the arguments are understood."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m layer_fast.phantom.train",
        description="Train the reference models on phantoms, or measure the model card of trained ones.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="train, and write the packages into this folder")
    what.add_argument("--card", type=Path, help="measure the packages in this folder and write their cards")
    parser.add_argument("--spatial-dims", type=int, choices=(2, 3), default=3, help="2: models that run over slices")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default 0)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads; the weights depend on it (default 1)")
    parser.add_argument("--cohorts", type=int, default=12, help="held-out cohorts of the card; 0: no card (default 12)")
    for name in ("subjects", "twins", "classifier-steps", "segmenter-steps"):
        parser.add_argument(f"--{name}", type=int, help="smaller or larger than the default training")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the training or the card; returns the exit code."""
    given = _arguments().parse_args(argv)
    from .card import write_cards

    if given.out is not None:
        import torch

        from .build import Budget, families_of, train_all

        torch.set_num_threads(given.threads)
        chosen = {f.name: getattr(given, f.name, None) for f in fields(Budget)}
        budget = Budget(**{name: value for name, value in chosen.items() if value is not None})
        train_all(given.out, families_of(budget, given.seed, _say), budget, given.seed, _say)
    if given.cohorts:
        write_cards(given.out or given.card, given.cohorts, _say)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
