"""Shapes in space: clouds, meshes, functions."""
