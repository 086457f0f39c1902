"""Benchmarks: operation counts, step times and planned memory."""
