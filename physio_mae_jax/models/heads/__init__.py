"""Classification heads over an encoder's tokens (models.md#classification-heads).

Modules::

    arcface       logits from angles to class vectors, with a margin on the target
    attention     mean token, weighted by a learned query in each attention head
    base          the protocol of a head, and its settings
    classifier    an encoder over whole windows, a head, and the layer that gives logits
    event         tokens near the event of a window, at three scales
    linear        mean token and LayerNorm
    reasoning     learned queries that attend to the tokens, then to each other
    residual_mlp  residual MLP blocks over the mean token
    samples       logits of every sample of every channel from the tokens of its column
    segmenter     an encoder over whole windows, and a class for every sample of every channel
    statistics    mean and standard deviation of the tokens

To add one, write its module and add a line to ``HEADS`` (contributing.md#add-a-head).
"""

from physio_mae_jax.models.heads.attention import AttentionHead
from physio_mae_jax.models.heads.base import Head, SampleHead
from physio_mae_jax.models.heads.event import EventHead
from physio_mae_jax.models.heads.linear import LinearHead
from physio_mae_jax.models.heads.reasoning import ReasoningHead
from physio_mae_jax.models.heads.residual_mlp import ResidualMlpHead
from physio_mae_jax.models.heads.samples import ConvolutionSampleHead, LinearSampleHead
from physio_mae_jax.models.heads.statistics import StatisticsHead

# Heads by the name that head.kind gives.
HEADS: dict[str, type[Head]] = {
    "linear": LinearHead,
    "attention": AttentionHead,
    "reasoning": ReasoningHead,
    "residual_mlp": ResidualMlpHead,
    "statistics": StatisticsHead,
    "event": EventHead,
}
# Heads of tasks that label samples.
SAMPLE_HEADS: dict[str, type[SampleHead]] = {
    "linear": LinearSampleHead,
    "convolution": ConvolutionSampleHead,
}
