"""How a kernel is launched."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

Ref = Any  # memory of the device: Pallas has no public type for it


def like(values: jax.Array) -> jax.ShapeDtypeStruct:
    """Describe an output of the shape and type of an array."""
    return jax.ShapeDtypeStruct(values.shape, values.dtype)


def launch(
    kernel: Callable[..., None],
    sizes: Any,
    grid: tuple[int, ...],
    outputs: Sequence[jax.ShapeDtypeStruct],
    *,
    interpret: bool,
    name: str,
    num_warps: int = 4,
) -> Callable[..., list[jax.Array]]:
    """Return a kernel as a function of arrays.

    Args:
        kernel: called with ``sizes``, the memory of each array and that of each output.
        sizes: static sizes, its first argument.
        grid: programs along each axis.
        outputs: shapes and types of what it makes.
        interpret: run its steps one by one on any machine, for tests.
        name: in profiles.
        num_warps: groups of 32 threads that share a program's work.
    """
    return pl.pallas_call(
        functools.partial(kernel, sizes),
        grid=grid,
        out_shape=list(outputs),
        compiler_params=triton.CompilerParams(num_warps=num_warps, num_stages=1),
        interpret=interpret,
        name=name,
    )
