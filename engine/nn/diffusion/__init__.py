"""From noise to data: paths, samplers, networks, and the probes that all denoising models answer."""
