"""The hot path compiled for the processor by numba, float32 only; what is compiled is kept on disk for the next start.

Imported by need: the first import ever compiles, later ones read. The kernels let go of Python's lock, so that the
window is painted while they run.
"""
