"""Shapes as numbers: distances, meshes, samples, isosurfaces. numpy in, numpy out; knows no study and no window."""
