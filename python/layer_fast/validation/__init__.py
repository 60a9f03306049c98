"""Planted truth: how often the tool, the claim rule and the guards are right."""
