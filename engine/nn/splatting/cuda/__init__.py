"""The rasteriser on CUDA, float32 only: gsplat's kernels where they are installed, else Triton's, compiled at their
first launch.

The order in which gradients are added up is not fixed, so that on CUDA a training is not the same bit for bit. Where
TRITON_INTERPRET=1 the Triton kernels run on the processor, slowly: for tests.
"""
