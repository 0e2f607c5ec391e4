"""The 3-D viewport: draws the things of a scene and lets the hand turn, pick, select and measure them."""

import widgets.views  # noqa: F401  their table names this folder's views: loaded first, neither waits for the other
