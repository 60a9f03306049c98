"""Phantom cohorts: synthetic 3D ultrasound of the back with a planted truth. For tests and demos, not for patients."""

from __future__ import annotations

from layer_fast.phantom.anatomy import draw_subject
from layer_fast.phantom.cohort import PHANTOM_VERSION, make_cohort
from layer_fast.phantom.effects import Effect
from layer_fast.phantom.plan import plan_cohort
from layer_fast.phantom.render import PhantomScan, render
from layer_fast.phantom.spec import ScanSpec, Subject

__all__ = [
    "PHANTOM_VERSION",
    "Effect",
    "PhantomScan",
    "ScanSpec",
    "Subject",
    "draw_subject",
    "make_cohort",
    "plan_cohort",
    "render",
]
