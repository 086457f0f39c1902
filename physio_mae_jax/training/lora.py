"""Low-rank adapters of an encoder that stays as it was trained (LoRA, Hu et al. 2022).

An adapter adds the product of two narrow matrices to the kernel of a dense layer. It is a function
of parameters, so that the model is unchanged, and trained adapters are added to the kernels once.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from physio_mae_jax.setting_ranges import check_fields
from physio_mae_jax.types import Params

ADAPTERS = "lora"  # their group of the parameters, beside 'encoder'


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Adapters of the dense layers in the blocks of an encoder.

    Attributes:
        rank: Rank of the adapters; 0 for none.
        alpha: Scale of the adapters, which are multiplied by ``alpha / rank``.
    """

    rank: int = 0
    alpha: float = 16.0

    def __post_init__(self) -> None:
        check_fields(self, "lora")


def init_adapters(encoder: Params, config: LoraConfig, key: jax.Array) -> Params:
    """Draw the adapters of an encoder; their product is 0.

    Args:
        encoder: Parameters of the encoder, or their shapes, with its blocks under 'stack'.
        config: Rank R.
        key: Random key.

    Returns:
        For each kernel [..., I, O] of a dense layer 'down' [..., I, R] and 'up' [..., R, O].
    """
    kernels = {
        path: kernel
        for path, kernel in flatten_dict(encoder).items()
        # The kernels of the smoothing are convolutions along time.
        if path[0] == "stack" and path[-1] == "kernel" and "smoothing" not in path
    }
    drawn = {}
    for number, (path, kernel) in enumerate(sorted(kernels.items())):
        *stacked, size_in, size_out = kernel.shape
        down = jax.random.normal(
            jax.random.fold_in(key, number), (*stacked, size_in, config.rank), kernel.dtype
        )
        drawn[*path[:-1], "down"] = down / jnp.sqrt(size_in)
        drawn[*path[:-1], "up"] = jnp.zeros((*stacked, config.rank, size_out), kernel.dtype)
    return unflatten_dict(drawn)


def merge_adapters(encoder: Params, adapters: Params, config: LoraConfig) -> Params:
    """Return the parameters of an encoder with its adapters added to the kernels."""
    merged, factors = dict(flatten_dict(encoder)), flatten_dict(adapters)
    for path, up in factors.items():
        if path[-1] == "up":
            down, kernel = factors[*path[:-1], "down"], (*path[:-1], "kernel")
            merged[kernel] = merged[kernel] + config.alpha / config.rank * (down @ up)
    return unflatten_dict(merged)


def describe_adapters(params: Params) -> str:
    """Describe how many of the parameters of a model with adapters are trained, as text."""
    counts = {
        part: sum(int(leaf.size) for leaf in jax.tree.leaves(tree)) for part, tree in params.items()
    }
    trained = sum(counts.values()) - counts["encoder"]
    matrices = len(jax.tree.leaves(params[ADAPTERS])) // 2
    return (
        f"LoRA trains {trained / 1e6:.2f} M of {sum(counts.values()) / 1e6:.2f} M parameters: "
        f"adapters of {matrices} stacked matrices ({counts[ADAPTERS] / 1e6:.2f} M) and the head"
    )
