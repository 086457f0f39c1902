"""Launching of Pallas kernels."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, TypeVar

import jax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

Ref = Any  # memory of the device: Pallas has no public type for it

_Sizes = TypeVar("_Sizes")


def like(values: jax.Array) -> jax.ShapeDtypeStruct:
    """Return the shape and type of an array, to describe an output."""
    return jax.ShapeDtypeStruct(values.shape, values.dtype)


def launch(
    kernel: Callable[Concatenate[_Sizes, ...], None],
    sizes: _Sizes,
    grid: tuple[int, ...],
    outputs: Sequence[jax.ShapeDtypeStruct],
    *,
    interpret: bool,
    name: str,
    num_warps: int = 4,
) -> Callable[..., list[jax.Array]]:
    """Return a kernel as a function of arrays.

    Args:
        kernel: Kernel, called with ``sizes``, the input refs and the output refs.
        sizes: Static sizes, the kernel's first argument.
        grid: Number of programs along each axis.
        outputs: Shapes and types of the outputs.
        interpret: Run in interpreter mode on any device, for tests.
        name: Name of the kernel in profiles.
        num_warps: Warps (groups of 32 threads) per program.
    """
    return pl.pallas_call(
        functools.partial(kernel, sizes),
        grid=grid,
        out_shape=list(outputs),
        compiler_params=triton.CompilerParams(num_warps=num_warps, num_stages=1),
        interpret=interpret,
        name=name,
    )
