"""flowlord: a taskmaster for data pipelines. Imports nothing, so that every command starts fast."""

__version__ = "0.1.0"
