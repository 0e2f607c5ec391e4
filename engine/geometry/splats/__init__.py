"""Gaussians in space as numbers: their order, their values, picking, turning, grading, levelling. numpy."""
