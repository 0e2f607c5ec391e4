"""The hot path as Triton kernels for CUDA, float32 only; each is compiled when it is first launched.

The order in which gradients of a table are added up is not fixed, so that on CUDA a training is not the same bit for
bit. Where TRITON_INTERPRET=1 the kernels run on the processor, slowly: for tests.
"""
