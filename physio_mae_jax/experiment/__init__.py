"""The door from a ConfigDict to typed settings and built parts; nothing past it reads a config.

* ``settings``     sections of a config as frozen dataclasses, each checked on its own.
* ``pretraining``  everything that a pre-training run is made of.
* ``past_run``     runs that are over: their model, before and after, and their data.
"""
