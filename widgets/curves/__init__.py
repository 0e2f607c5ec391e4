"""Curves over training steps: a pyramid that keeps a million points quick, and the plot that draws them.

Import ``widgets.curves.plot`` late: it pulls in pyqtgraph. ``widgets.curves.pyramid`` is numpy alone.
"""
