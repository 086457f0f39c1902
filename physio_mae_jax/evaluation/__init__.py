"""Evaluation of models: from predictions to metrics with intervals, calibration and a report.

In shapes (letters as in ``physio_mae_jax``) ``...`` stands for [Z] bootstrap replicates or nothing.

Modules::

    bootstrap        uncertainty of a metric by resampling subjects (a stratified, paired bootstrap
                     by subject)
    calibration      calibration and thresholds, which are chosen on validation only
    caveats          caveats that a report shows before its metrics, and how the metrics are defined
    comparison       kinds of models × shares of the labels × seeds, run one by one and compared in
                     one table
    comparison_text  the report of a comparison in Markdown
    curves           data points of the plots of an evaluation
    evaluate_probe   evaluation of frozen features, extracted once: linear probe and nearest
                     neighbours
    evaluated_run    results of an evaluated run, read from its folder
    evaluation       evaluate predictions: metrics with intervals, rare classes, subgroups, paired
                     comparisons
    finetune         A model of labelled instances: trained, then evaluated once on held-out
                     subjects
    fold_pooling     predictions of several folds pooled into one evaluation
    leave_one_out    folds of one subject each: run one by one, then evaluated together and by
                     subject
    markdown         numbers, names and tables as Markdown
    metric_sets      metrics that evaluate each kind of task; pure functions of predictions and
                     weights
    metrics          metrics of classes from weighted instances, for many weightings at a time; pure
                     NumPy
    pending_runs     many runs that each write an evaluation report, in this process or in several
    predictions      outputs of a model for instances, and the targets of those instances
    probes           probes of frozen features: a linear model, or nearest neighbours
    regression       metrics of regressions from weighted instances; shapes as in ``metrics``
    report           the evaluation report: report, JSON and plots of an evaluation in a folder
    report_text      the report of an evaluation in Markdown: pure text, the caveats first
    results          content of an evaluation, and its JSON
    subgroups        metrics by sex and by age, each group on replicates of its own subjects
    summary          metrics of several models on the same instances: means over seeds, and paired
                     differences
    weighted         sums over weighted instances, for the metrics: ``weights`` [..., U] as in
                     ``metrics``
"""
