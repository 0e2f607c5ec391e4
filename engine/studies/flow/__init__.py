"""Flows and diffusion where their mathematics can be seen: in the plane."""
