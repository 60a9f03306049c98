"""info and doctor: what a model says of itself, what a machine offers."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

from ..info import available
from ..models import load_models

_SHOWN = ("grid", "spacing_mm", "fov_mm", "classes", "cam_tensor", "training_data", "intended_use", "licence")


def print_models(path: str, *, as_json: bool) -> int:
    """The manifests of a package or folder, without the subjects' hashes."""
    models = load_models(path)
    described: list[dict[str, Any]] = []
    for package in models.packages:
        fields = package.manifest.model_dump(mode="json", exclude={"training_subjects"})
        known = package.manifest.training_subjects
        fields |= {"sha256": package.sha256, "training_subjects": len(known.hashes) if known else None}
        described.append(fields)
    if as_json:
        print(json.dumps(described, indent=2, sort_keys=True))
        return 0
    console = Console(highlight=False)
    for fields in described:
        about = f"{fields['role']}, setup {fields['setup']}, member {fields['member']}"
        console.print(f"[bold]{fields['name']}[/bold]  {about}")
        for key in _SHOWN:
            if fields[key] is not None:
                console.print(f"  {key}: {fields[key]}")
        for name, figure in fields["card"].items():
            console.print(f"  {name}: {figure['value']:g} ({figure['subjects']} subjects) {figure['note']}")
    return 0


def print_doctor(*, as_json: bool) -> int:
    facts = available()
    if as_json:
        print(json.dumps(facts, indent=2, sort_keys=True))
        return 0
    console = Console(highlight=False, markup=False)  # the brackets of an extra are not markup
    native = facts["native"]
    console.print(f"layer_fast {facts['layer_fast']}, Python {facts['python']}, {facts['threads']} threads")
    console.print(f"native: {native['compiler']}, {native['isa']}")
    gpus = native["cuda_devices"]
    console.print(f"GPU: {', '.join(map(str, gpus)) if gpus else 'none: ' + str(native['cuda_reason'])}")
    for name, found in {**facts["engines"], **facts["optional"]}.items():
        console.print(f"{'–' if found.startswith('missing') else '✓'} {name} {found}")
    return 0
