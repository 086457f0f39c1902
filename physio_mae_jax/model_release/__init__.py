"""Release of a trained model: from the work folder of a run to a folder and an archive to share.

``python -m physio_mae_jax.release`` is its command line, ``launch/release.sh`` the one command that
also trains.

Modules::

    archive      a folder as a .tar.gz that is the same for the same files, with its SHA-256
    card_text    texts of the model card: data sets, training, cost, use and limits
    checks       checks of a model folder before it is released
    hub          upload of a model folder to the Hugging Face hub
    packing      a model folder from a run: weights, card, settings and learning curves
"""
