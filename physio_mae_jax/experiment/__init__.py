"""Trial point from a ConfigDict to typed settings and built objects; only this layer reads it.

* ``settings``     sections of a config as frozen dataclasses, each validated separately.
* ``pretraining``  everything a pre-training run consists of.
* ``past_run``     finished runs: their initial and trained model, and their data.
"""
