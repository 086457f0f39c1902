"""Evaluation of models: from predictions to metrics with intervals, calibration and a report.

In shapes (letters as in ``physio_mae_jax``) ``...`` stands for [Z] bootstrap replicates or nothing.

Modules::

    batched_map      application of a compiled function to any number of windows
    bootstrap        uncertainty of a metric by resampling subjects (a stratified, paired bootstrap
                     by subject)
    calibration      calibration and thresholds, which are chosen on validation only
    caveats          caveats that a report shows before its metrics, and how the metrics are defined
    comparison_text  the report of a comparison in Markdown
    curves           data points of the plots of an evaluation
    delay_probe      linear probe of the delay between two channels, from a frozen single-channel
                     encoder
    evaluated_run    results of an evaluated run, read from its folder
    evaluation       evaluate predictions: metrics with intervals, rare classes, subgroups, paired
                     comparisons
    extractors       features of windows: the mean token of an encoder, or statistics of wavelet
                     power
    fold_pooling     predictions of several folds pooled into one evaluation
    markdown         numbers, names and tables as Markdown
    metric_sets      metrics that evaluate each kind of task; pure functions of predictions and
                     weights
    metrics          metrics of classes from weighted instances, for many weightings at a time; pure
                     NumPy
    predictions      outputs of a model for instances, and the targets of those instances
    probes           probes of frozen features: a linear model, or nearest neighbours
    protocol         protocol of an evaluation: thresholds from validation, then test, then the
                     report
    regression       metrics of regressions from weighted instances; shapes as in ``metrics``
    report           the evaluation report: report, JSON and plots of an evaluation in a folder
    report_text      the report of an evaluation in Markdown: pure text, the caveats first
    results          content of an evaluation, and its JSON
    retrieval        cross-modal retrieval: the ECG recorded with a PPG, and the PPG recorded with
                     an ECG
    subgroups        metrics by sex and by age, each group on replicates of its own subjects
    summary          metrics of several models on the same instances: means over seeds, and paired
                     differences
    weighted         sums over weighted instances, for the metrics: ``weights`` [..., U] as in
                     ``metrics``
"""
