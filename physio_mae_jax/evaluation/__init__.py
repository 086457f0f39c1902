"""Evaluation of models: from predictions to metrics with intervals, calibration and a report.

Modules, in the order predictions pass through them::

    predictions      outputs of a model for instances (recordings, windows), and their targets
    calibration        calibration and thresholds, chosen on validation and nowhere else
    metrics          of classes, for many weightings of instances at a time (regression: of numbers)
    measures         metrics that evaluate each kind of task
    bootstrap        weightings that resample subjects, strata, intervals, paired differences
    subgroups        metrics by subgroup of subjects
    results          content of an evaluation, and its JSON
    evaluation       all of the above together
    curves           points of the pictures
    card_text        the report in Markdown; reading: its caveats and explanations; markdown: its
                     numbers, names and tables
    report             writes report, JSON and pictures; all of the above are pure
    trained          a model trained, then evaluated: the entry point of this package

Letters of shapes, here only: U instances evaluated, K classes (or targets of a regression), S
subjects, R bootstrap replicates; ``...`` stands for [R] or nothing.
"""
