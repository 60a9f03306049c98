"""report.html of a results folder, and the layer table of a terminal."""

from .terminal import layer_table_rows, layer_table_text
from .write import write_report

__all__ = ["layer_table_rows", "layer_table_text", "write_report"]
