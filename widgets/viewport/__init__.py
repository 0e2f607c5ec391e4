"""The 3-D viewport: draws the things of a scene and lets the hand turn, pick, select and measure them."""
