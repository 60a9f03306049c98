"""Errors of the library. Every message names what was expected and what was found."""

from __future__ import annotations


class LayerFastError(Exception):
    """Base of all errors raised on purpose."""


class ReadError(LayerFastError):
    """A file cannot be trusted. `code` is stable and machine readable; the text quotes no header text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class TableError(LayerFastError):
    """The cohort table is wrong; the message lists every row at fault."""


class ModelError(LayerFastError):
    """A model package or graph is refused, by name, before anything runs."""


class EngineError(LayerFastError):
    """An inference engine cannot load or run a graph."""


class ConfigError(LayerFastError):
    """An option has a value that it cannot have."""


class LockedError(LayerFastError):
    """Another run owns the output directory."""


class DeviceError(LayerFastError, RuntimeError):
    """A device is missing, full or failed. The native module raises this class too."""


class StepFailure(LayerFastError):
    """One scan cannot pass one step; caught by the pipeline and kept as a value."""

    def __init__(self, code: str, message: str, *, input_at_fault: bool) -> None:
        super().__init__(message)
        self.code = code
        self.input_at_fault = input_at_fault
