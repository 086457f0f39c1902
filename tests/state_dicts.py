"""State dicts of classifiers."""

import numpy as np


def classifier_state(small, kind):
    state, config = small
    rng = np.random.default_rng(2)
    decoder = ("decoder_", "mask_token", "time_", "rope_decoder")
    state = {
        f"encoder_model.{name}": values
        for name, values in state.items()
        if not name.startswith(decoder)
    }
    if kind == "reasoning":
        shapes = {
            "reasoning_tokens": (1, 5, 8), "ffn.0.weight": (32, 8), "ffn.0.bias": (32,),
            "ffn.3.weight": (8, 32), "ffn.3.bias": (8,), "classifier.weight": (3, 8),
            "classifier.bias": (3,),
        }  # fmt: skip
        for name in ("cross_attn", "self_attn"):
            shapes |= {f"{name}.in_proj_weight": (24, 8), f"{name}.in_proj_bias": (24,)}
            shapes |= {f"{name}.out_proj.weight": (8, 8), f"{name}.out_proj.bias": (8,)}
        for name in ("norm1", "norm2", "norm3"):
            shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    else:
        shapes = {
            "0.weight": (8,), "0.bias": (8,), "1.weight": (6, 8), "1.bias": (6,),
            "5.weight": (6,), "5.bias": (6,), "6.weight": (3, 6), "6.bias": (3,),
            "4.norm.weight": (6,), "4.norm.bias": (6,), "4.net.0.weight": (6, 6),
            "4.net.0.bias": (6,), "4.net.3.weight": (6, 6), "4.net.3.bias": (6,),
        }  # fmt: skip
    return state | {
        f"head.{name}": rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }, config
