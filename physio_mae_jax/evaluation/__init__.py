"""Evaluation of models: from predictions to metrics with intervals, calibration and a report.

In shapes (letters as in ``physio_mae_jax``) ``...`` stands for [Z] bootstrap replicates or nothing.

Modules::

    batched_map      application of a compiled function to any number of windows
    beat_retrieval   similarity of a pulse and an ECG by the times of their beats, without learning
    boundaries       onsets and offsets of labeled runs of samples, matched within a tolerance
    bootstrap        confidence intervals by a stratified, paired bootstrap over subjects
    calibration      calibration and thresholds, fitted on the validation split only
    caveats          caveats that a report shows before its metrics, and how the metrics are defined
    comparison_text  the report of a comparison in Markdown
    curves           data points of the plots of an evaluation
    delay_probe      linear probe of the delay between two channels, from a frozen single-channel
                     encoder
    evaluated_run    results of an evaluated run, read from its folder
    evaluation       evaluate predictions: metrics with intervals, rare classes, subgroups, paired
                     comparisons
    extractors       features of windows: mean-pooled tokens of an encoder, or wavelet statistics
    fold_pooling     predictions of several folds pooled into one evaluation
    lag_error        error of the lag of a pulse after its ECG that an aligned model reads
    markdown         formatting of numbers, names and tables as Markdown
    metric_sets      the metrics of each problem type; pure functions of predictions and weights
    metrics          classification metrics of weighted instances, vectorized over bootstrap
                     replicates
    predictions      model outputs and targets of instances
    probes           probes of frozen features: linear models and nearest neighbors
    protocol         protocol of an evaluation: thresholds from validation, then test, then the
                     report
    regression       metrics of regressions from weighted instances; shapes as in ``metrics``
    report           writing the report, JSON and plots of an evaluation
    report_text      rendering the evaluation report as Markdown, caveats first
    results          content of an evaluation, and its JSON
    retrieval        cross-modal retrieval: the ECG recorded with a PPG, and the PPG recorded with
                     an ECG
    segmentation     metrics of classes of samples: F1 by sample, and errors of onsets and offsets
    segmentation_predictions
                     predicted and annotated classes of the samples of windows
    segmentation_report
                     report, JSON, predictions and plot of an evaluation of classes of samples
    subgroups        metrics by sex and age, with a bootstrap within each subgroup
    suite/           the evaluation suite: many tasks in one table and one page
    summary          metrics of several models on the same instances: means over seeds and paired
                     differences
    weighted         weighted sums and means over instances
"""
