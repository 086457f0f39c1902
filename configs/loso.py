"""Leave one subject out: one fine-tuning per subject, each evaluated on that subject.

    python -m physio_mae_jax.main --config=configs/loso.py:data=wesad \
        --config.init_from=runs/wesad --workdir=runs/wesad_loso

Arguments after the colon and all settings are those of configs/finetune.py, except for the split:
one subject is the test set, a fraction of the others is validation (it chooses model, calibration
and thresholds of that fold), the rest is training. Finished folds are skipped, so the same command
resumes. Written: a folder with a report for each subject; evaluation.json, evaluation.md and plots/
of all subjects together; subjects.md and subjects.json, by subject.
"""

from ml_collections import ConfigDict

from configs.finetune import get_config as finetuning_config


def get_config(argument: str = "") -> ConfigDict:
    """Return every setting of leaving one subject out."""
    config = finetuning_config(argument or "data=wesad")
    config.command = "leave_one_out"
    del config.data.split_rule
    config.validation_share = 0.2  # fraction of the other subjects
    config.subjects = ""  # 'S02,S05': only these folds; '': all subjects with a label of the task
    config.num_workers = 1  # processes that run folds in parallel, also on one GPU
    config.worker = False  # True: run folds only, as one of many jobs on a shared folder
    return config
