"""Kernels for NVIDIA GPUs, in Triton through Pallas, of what the compiler writes badly."""
