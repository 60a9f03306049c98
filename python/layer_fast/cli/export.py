"""export: an ONNX file or a torch network becomes a model package; what was found is said on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..models import ModelPackage
from ..report.style import plain
from .progress import progress


def run_export(
    model: Path | None,
    network: str | None,
    torch_options: dict[str, Any],
    manifest: Path,
    out: Path,
    options: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    """torch_options: arguments, weights, random_weights. options: cohort, graphs, activation, skip_bad."""
    if (model is None) == (network is None):
        raise ConfigError("expected an ONNX file or --network, found " + ("neither" if model is None else "both"))
    stray = [name for name, value in torch_options.items() if value]
    if network is None and stray:
        raise ConfigError(f"--{stray[0].replace('_', '-')}: expected together with --network only")
    with progress("training scans") as tick:
        if model is not None:
            from ..export import export_onnx

            package = export_onnx(model, manifest, out, say=_say, tick=tick, **options)
        else:
            from ..export.torch_route import export_network

            package = export_network(str(network), manifest, out, say=_say, tick=tick, **torch_options, **options)
    _print(package, as_json=as_json)
    return 0


def _say(text: str) -> None:
    print(plain(text), file=sys.stderr, flush=True)


def _print(package: ModelPackage, *, as_json: bool) -> None:
    if as_json:
        from .info import described

        print(json.dumps(described(package), indent=2, sort_keys=True))
    else:
        print(package.path)
