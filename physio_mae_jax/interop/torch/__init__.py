"""Weights of the original PyTorch CWT-MAE, read without PyTorch.

A file is read as arrays by name (``checkpoint_file``), the constructor's arguments are checked
(``arguments``), and the weights become a model of ours (``convert``).

Modules::

    arguments          validated constructor arguments of the original model, from a JSON file or a
                       program
    checkpoint_file    reading of PyTorch checkpoints without PyTorch and without executing their
                       content
    convert            import of the original PyTorch CWT-MAE weights; every key is accounted for
    parameter_mapping  mapping from the original's weights to our models
    weights            arrays of a PyTorch state dict by name, each taken once and converted to our
                       layouts
"""
