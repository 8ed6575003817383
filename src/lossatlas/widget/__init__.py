"""The widget: explorer, messages, jobs in front of a page."""

from lossatlas.widget.explorer import Explorer

__all__ = ["Explorer"]
