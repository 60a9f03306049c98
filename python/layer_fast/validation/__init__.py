"""Validation of what layer_fast says: truth is known, and how often the answer is right is counted."""
