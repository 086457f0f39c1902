"""Time mixers: layers that exchange information between the tokens of a sequence.

Modules::

    attention           multi-head self-attention, full or within blocks of time
    base                the protocol of a mixer, and the geometry of the tokens that it receives
    carried_recurrence  the recurrence of ``state_space``, block by block with a state
    column_recurrence   that recurrence, computed in chunks
    state_space         a recurrence over time columns in both directions

To add one, write its module and add a line to ``MIXERS`` (contributing.md#add-a-mixer).
"""

from physio_mae_jax.models.mixers.attention import Attention
from physio_mae_jax.models.mixers.base import TimeMixer
from physio_mae_jax.models.mixers.state_space import StateSpace

# Mixers by the name that model.time_mixer gives.
MIXERS: dict[str, type[TimeMixer]] = {"attention": Attention, "state_space": StateSpace}
