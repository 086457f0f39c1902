"""From a ConfigDict to typed settings and built objects; only this package reads configs.

Modules::

    benchmarking         build the benchmark cases of a pre-training ConfigDict
    classifier_spec      specification of a fine-tuned model, stored with its checkpoint; every
                         value is validated
    classifiers          models of labelled windows: their input, their initial weights and their
                         training step
    comparison           build a comparison of models from a ConfigDict
    config_diff          differences between the settings of two runs
    evaluate             build the evaluation of a previously fine-tuned model from a ConfigDict
    features             build a feature extraction from a ConfigDict
    finetuning           build a fine-tuning run from a ConfigDict
    labelled_data        labelled data of a task: opened, split, and ready for training and
                         evaluation
    leave_one_out        build leave-one-subject-out fine-tuning, one run per subject, from a
                         ConfigDict
    pretrained_encoders  pre-trained encoders, from a pre-training run or the original's weights,
                         for any window
    pretraining          build a pre-training run from a ConfigDict
    probe                build the evaluation of frozen features from a ConfigDict
    run_directory        finished runs: build their analyses from a ConfigDict and a work folder
    run_metadata         checks of the machine of a run; writes config.json and checks it on resume
    sweep                shared checks of configs with many runs in one folder
    typed_config         typed settings from the sections of a ConfigDict, each validated separately
"""
