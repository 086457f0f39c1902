"""A look at recordings before training: one self-contained HTML page.

Modules::

    facts  facts about a folder: what was read, its quality, and what a model would see
    page   the report of a folder as one HTML page that needs no network
    svg    waveforms as inline SVG, without a plotting library
"""
