"""Flax modules: the masked autoencoder, its encoder, decoder and heads, and the baselines.

Modules::

    attention          multi-head attention: its linear layers, and attention across channels
    block              a mixer within sequences, attention across them, and an MLP
    block_config       settings shared by the blocks of a stack
    config             shape and numerics of a masked autoencoder, validated before compilation
    contrastive        single-tower contrastive model: one autoencoder for every modality, and a
                       projection
    decoder            the decoder: mask tokens at masked positions, a stack, and output heads of
                       both domains
    encoder            the encoder: a tokenizer, and a stack over per-channel sequences or one joint
                       sequence
    layer_plan         which layer of a stack has which mixer, and where its parameters are
    layers             linear layers, activation, MLP and the plain norm
    local_attention    block-local attention: tokens attend to their own time block and the two
                       adjacent ones
    mae                the masked autoencoder: one model, configured as v1, v2 or v3 by its
                       ``MaeConfig``
    pooling            mean of the tokens of a window
    position_embedding  resizing of a learned position table to a window of another length
    rematerialization  activations saved for the backward pass, which rematerializes the cheap ones
    residual           residual sums of a block, its norms and smoothing
    resnet             supervised convolutional baselines: resnet1d_wang and xresnet1d101 of the
                       PTB-XL benchmark
    resnet_classifier  a convolutional baseline with its published head
    rotary             rotary positions of tokens
    stack              a stack of blocks over token sequences, and the layouts of tokens in
                       sequences
    tokenizer          from a signal to tokens: wavelet patches and waveform columns, embedded and
                       fused
    window_batch       a batch of windows, in the form that every model takes
    heads/             classification heads over an encoder's tokens
    mixers/            time mixers: what exchanges information between the tokens of a sequence
    kernels/           custom Pallas (Triton) kernels for NVIDIA GPUs, where XLA's own code is slow
"""
