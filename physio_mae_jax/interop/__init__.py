"""Models of other programs, converted to those of this one.

Modules::

    torch/  weights of the original PyTorch CWT-MAE, read without PyTorch
"""
