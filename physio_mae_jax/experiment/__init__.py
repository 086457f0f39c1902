"""Parts that commands share: config trees, initial encoders, labeled data, run folders.

Modules::

    classifiers          models of labeled windows: their input, their initial weights and their
                         training step
    config_diff          differences between the settings of two runs
    configs              config trees that several commands share: pre-training, fine-tuning, probes
    labeled_data        labeled data of a task: opened, split, and ready for training and
                         evaluation
    model_section        the section ``model`` of a config: a model without its input window
    pretrain_spec        static parts of a pre-training step, built from its config without any data
    pretrained_encoders  pre-trained encoders, from a pre-training run or the original's weights,
                         for any window
    recording_sets       recordings of data sets, of a folder or of files, without labels
    run_directory        load finished runs: their settings, and a pre-trained model with its data
    run_metadata         checks of the machine of a run; writes config.json and checks it on resume
    run_record           what a pre-training run recorded about itself: settings, data, cost and
                         errors
    subject_folds        split rules of the folds of a cross-validation by subject
    suite_plan           what a task of the evaluation suite trains: its folds, classes and
                         fractions of the subjects
    sweep                many runs in one folder, each with an evaluation report: settings, workers,
                         completeness
    typed_config         typed settings: a config as a tree of dataclasses, built once when a
                         command starts
"""
