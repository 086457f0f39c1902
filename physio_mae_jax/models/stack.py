"""A stack of blocks over token sequences, and the layouts of tokens in sequences."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive

from physio_mae_jax.models.attention import ATTENTION
from physio_mae_jax.models.block import Block
from physio_mae_jax.models.block_config import BlockConfig
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.layer_plan import LayerPlan
from physio_mae_jax.models.layers import layer_norm
from physio_mae_jax.models.mixers.base import Geometry
from physio_mae_jax.models.mixers.carried_recurrence import RECURRENT
from physio_mae_jax.models.rematerialization import SAVED_NAME
from physio_mae_jax.models.residual import DROP_PATH
from physio_mae_jax.models.rotary import rotary_rotation
from physio_mae_jax.signals import patches
from physio_mae_jax.types import PyTree


def _is_saveable(primitive: Primitive, *_: object, **parameters: object) -> bool:
    """Return whether a result is marked, or from cuDNN attention, whose statistics cannot be."""
    is_visible = primitive.name == "name" and parameters["name"] == SAVED_NAME
    return is_visible or primitive.name.startswith("dot_product_attention_fwd")


# Activations a block saves for its backward pass.
_REMAT_POLICIES = {
    "elementwise": _is_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


class Stack(nn.Module):
    """``depth`` blocks over stacked parameters (``LayerPlan``), and a final LayerNorm.

    Attributes:
        settings: Settings of the blocks.
        depth: Number of blocks.
        remat, unroll_layers: See ``MaeConfig``.
    """

    settings: BlockConfig
    depth: int
    remat: str
    unroll_layers: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        times: jax.Array,
        sequence_mask: jax.Array,
        token_mask: jax.Array | None = None,
        positions: jax.Array | None = None,
    ) -> jax.Array:
        """Mix [B, M, K, R, D].

        Args:
            tokens: [B, M, K, R, D], M sequences of K · R tokens.
            times: [B, K, R] time column of each token, see ``mixers.base.Geometry``.
            sequence_mask: [B, M] bool, see ``block.Block``.
            token_mask: [B, K, R] bool, False = padding, the same for all sequences; None if all
                are valid.
            positions: [B, K, R] rotary positions (models.md#rotary-positions); None for the times.
        """
        positions = times if positions is None else positions
        head_dim = tokens.shape[-1] // self.settings.num_heads
        rotation = rotary_rotation(positions.reshape(positions.shape[0], -1), head_dim)
        block = Block
        if self.remat != "none":
            # In straight-line code common subexpression elimination would undo the
            # rematerialization; between two loops it cannot.
            block = nn.remat(
                Block, prevent_cse=self.unroll_layers, policy=_REMAT_POLICIES[self.remat]
            )
        plan = LayerPlan(self.depth, self.settings.attention_every)
        # Initialization is always a loop: unrolled it would take a minute to compile.
        unroll = self.unroll_layers and not self.is_initializing()
        given = (Geometry(times, rotation, token_mask), sequence_mask)
        if plan.num_groups:
            groups = _scanned(_Group, plan.num_groups, unroll)
            tokens, _ = groups(
                self.settings,
                block,
                plan.attention_every - 1,
                self.unroll_layers,
                unroll,
                name="groups",
            )(tokens, *given)
        if plan.num_alike:
            blocks = _scanned(block, plan.num_alike, unroll)
            tokens, _ = blocks(self.settings, self.unroll_layers, name="blocks")(tokens, *given)
        return layer_norm("norm", self.settings.dtype)(tokens)


class _Group(nn.Module):
    """Layers with the time mixer of the settings, and one of attention.

    Attributes:
        settings: Settings of the blocks.
        block: Class of the blocks.
        num_blocks: Number of layers before that of attention.
        pin_layout: See ``Block``.
        unroll: Whether to unroll the layers.
    """

    settings: BlockConfig
    block: type[Block]
    num_blocks: int
    pin_layout: bool
    unroll: bool

    @nn.compact
    def __call__(
        self, tokens: jax.Array, geometry: Geometry, sequence_mask: jax.Array
    ) -> tuple[jax.Array, None]:
        """Mix as ``Block`` does."""
        blocks = _scanned(self.block, self.num_blocks, self.unroll)
        tokens, _ = blocks(self.settings, self.pin_layout, name="blocks")(
            tokens, geometry, sequence_mask
        )
        settings = self.settings._replace(time_mixer="attention")
        last = self.block(settings, self.pin_layout, name="attention_block")
        return last(tokens, geometry, sequence_mask)


def _scanned(module: Callable[..., nn.Module], length: int, unroll: bool) -> Callable[..., PyTree]:
    """Repeat a module: parameters have a leading axis, over which one compiled call is scanned."""
    return nn.scan(
        module,
        variable_axes={"params": 0, ATTENTION: 0, RECURRENT: 0},
        split_rngs={"params": True, DROP_PATH: True},
        in_axes=nn.broadcast,
        length=length,
        unroll=length if unroll else 1,
    )


def join_channels(tokens: jax.Array) -> jax.Array:
    """Flatten [B, M, W, H, D] to [B, M · H · W, D], channel by channel, row by row."""
    return tokens.swapaxes(2, 3).reshape(tokens.shape[0], -1, tokens.shape[-1])


def split_channels(sequence: jax.Array, num_rows: int, num_columns: int) -> jax.Array:
    """Invert ``join_channels``."""
    batch, _, width = sequence.shape
    return sequence.reshape(batch, -1, num_rows, num_columns, width).swapaxes(2, 3)


def _joint_times(token_ids: jax.Array, cfg: MaeConfig) -> tuple[jax.Array, jax.Array]:
    """Return time column and rotary position of each token of a joint sequence.

    Args:
        token_ids: [B, T] indices in the order of ``join_channels``.
        cfg: Model config; defines whether positions are columns or indices within a channel.

    Returns:
        [B, T] each or, with a class token, whose values are 0, [B, 1 + T]; the rotary positions of
        the others then begin at 1.
    """
    within = token_ids % cfg.num_tokens
    times = within % cfg.num_columns
    positions = within if cfg.rotary_positions == "token" else times
    if cfg.class_token:
        times = jnp.pad(times, [(0, 0), (1, 0)])
        positions = jnp.pad(positions + 1, [(0, 0), (1, 0)])
    return times, positions


def mix_joint(
    stack: Stack,
    sequence: jax.Array,
    ids: jax.Array,
    token_mask: jax.Array,
    class_token: jax.Array | None,
    cfg: MaeConfig,
) -> jax.Array:
    """Mix the tokens of all channels in one sequence.

    Args:
        stack: Stack of blocks.
        sequence: [B, T, D].
        ids: [B, T] token indices in the order of ``join_channels``.
        token_mask: [B, T] bool, False = never attended to.
        class_token: [B, 1, D] token to prepend if ``cfg`` has one; else None.
        cfg: Model config; defines the rotary positions.

    Returns:
        [B, T, D], or [B, 1 + T, D] with a class token.
    """
    if class_token is not None:
        sequence = jnp.concatenate([class_token, sequence], axis=1)
        token_mask = jnp.pad(token_mask, [(0, 0), (1, 0)], constant_values=True)
    times, positions = _joint_times(ids, cfg)
    mixed = stack(
        sequence[:, None, :, None],
        times[:, :, None],
        jnp.ones((sequence.shape[0], 1), bool),
        token_mask[:, :, None],
        positions[:, :, None],
    )
    return mixed[:, 0, :, 0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def scatter_tokens(
    visible: jax.Array, ids: jax.Array, filler: jax.Array, num_positions: int
) -> jax.Array:
    """Put visible tokens in their positions and a filler in all others.

    Args:
        visible: [B, M, K, …, D]; channels are placed independently
            (models.md#decoder-and-output-heads).
        ids: [B, K] position of each visible token, all different.
        filler: [D].
        num_positions: Number of positions N.

    Returns:
        [B, M, N, …, D].
    """
    num_visible = visible.shape[2]
    filling = jnp.broadcast_to(filler.astype(visible.dtype), visible[:, :, :1].shape)
    # Position n takes visible token source[n]; the filler comes last. A gather, since scattering
    # whole tokens is slower.
    source = jax.vmap(
        lambda row: jnp.full(num_positions, num_visible).at[row].set(jnp.arange(num_visible))
    )(ids)
    together = jnp.concatenate([visible, filling], axis=2)
    return patches.take_columns(together, source, axis=2)


def _scatter_forward(
    visible: jax.Array, ids: jax.Array, filler: jax.Array, num_positions: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return scatter_tokens(visible, ids, filler, num_positions), (ids, filler)


def _scatter_backward(
    num_positions: int, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, np.ndarray, jax.Array]:
    """Compute the gradient by a gather instead of a scatter-add into the filler's gradient."""
    ids, filler = kept
    is_filled = jax.vmap(lambda row: jnp.ones(num_positions, bool).at[row].set(False))(ids)
    is_filled = is_filled.reshape(len(ids), 1, num_positions, *[1] * (gradient.ndim - 3))
    of_filler = jnp.where(is_filled, gradient, 0).astype(jnp.float32)
    of_filler = of_filler.sum(axis=range(gradient.ndim - 1)).astype(filler.dtype)
    of_ids = np.zeros(ids.shape, jax.dtypes.float0)
    return patches.take_columns(gradient, ids, axis=2), of_ids, of_filler


scatter_tokens.defvjp(_scatter_forward, _scatter_backward)
