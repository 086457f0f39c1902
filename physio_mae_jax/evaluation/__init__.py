"""What a model is worth: predictions in, an evaluation that a critical reviewer would accept out.

In the order predictions meet them::

    predictions      what a model said of units (recordings, windows) and what is true
    decisions        calibration and thresholds, chosen on validation and nowhere else
    metrics          of classes, for many weightings of units at a time (regression: of numbers)
    measures         which metrics each kind of task is judged by
    bootstrap        weightings that resample people, strata, intervals, paired differences
    subgroups        units judged apart
    results          what an evaluation holds, and its JSON
    evaluation       all of it together
    curves           points of the pictures
    card_text        the report in Markdown; reading: its doubts and explanations; markdown: its
                     figures, names and tables
    card             writes report, JSON and pictures; all of the above are pure
    trained          a model trained, then judged: the door of this room

Letters of shapes, here only: U units judged, K classes (or targets of a regression), S subjects,
R bootstrap replicates; ``...`` stands for [R] or nothing.
"""
