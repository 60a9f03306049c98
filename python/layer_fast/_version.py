"""The one place where the version is written; the build and the native module read it from here."""

__version__ = "0.1.0"
