"""Plots, each a function from arrays to a Matplotlib figure.

Modules::

    alignment       plots of the lag of a pulse after its ECG: over time, and on the waveforms
    attention       plots of an encoder's attention over waveforms and scalograms
    comparison      plots of model performance against the fraction of training labels
    curves          plots of learning curves and of the scalogram loss weights
    embedding_map   two-dimensional maps of embeddings, by principal components or UMAP
    evaluation      plots of an evaluation: ROC and PR curves, confusion, calibration, agreement
    names           format names from data for display in Matplotlib: escaped and truncated
    reconstruction  plots of the input, the masked columns and the predictions of a masked
                    autoencoder
    retrieval       plots of a retrieval: recall with its chance level, and delays predicted by a
                    probe
    segmentation    waveforms with the annotated and the predicted classes of their samples
"""
