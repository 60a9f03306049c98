"""Planted truth: how often the tool, the claim rule, the intervals and the guards are right."""
