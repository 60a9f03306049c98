"""Trains the reference models: `python -m layer_fast.phantom.train --out DIR --seed 0`. Needs torch, onnxscript."""
