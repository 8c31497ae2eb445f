"""The command line: results on standard output, progress and notes on standard error."""

from convexgan.cli.app import app, main

__all__ = ["app", "main"]
