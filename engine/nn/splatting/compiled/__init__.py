"""The rasteriser compiled for the processor by numba, float32 only; what is compiled is kept on disk.

Imported by need: the first import ever compiles, later ones read. Results are the same bit for bit whatever the number
of threads: every pair of a tile and a splat writes a row of its own, and rows are summed splat by splat.
"""
