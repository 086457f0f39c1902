"""Custom Pallas (Triton) kernels for NVIDIA GPUs, where XLA's own code is slow."""
