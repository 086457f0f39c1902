"""Masks and losses: pure functions of a model's outputs.

Modules::

    aligned_contrast
                 InfoNCE between sequences of time steps, compared at their best lag
    auxiliary    the loss of an auxiliary task, whose outputs are beside those of the task
    contrastive  alignment of modalities recorded together: symmetric InfoNCE over the global batch
    cross_modal  reconstruction of one modality of a window from the other
    latent_targets
                 prediction of latents: targets of a teacher that sees the whole window
    losses       weights of the scalogram loss, and the masked losses of both domains
    masking      masks: which tokens a model may see, drawn here from keys or noise and passed to
                 the model
    pretraining  masked reconstruction in both domains: from a batch and a mask to a loss
    supervised   losses of labeled windows: multilabel, multiclass and regression
"""
