"""Training: steps, the loop, checkpoints, sharding over devices, and everything a run writes.

Modules::

    atomic_files          files that describe a run, each written to a temporary file and renamed
    checkpoint            checkpoints of everything a run needs to resume; the only module that uses
                          Orbax
    data_position         position of a run in the training data, from which any number of processes
                          can resume
    evaluation            held-out errors and the arrays of a reconstruction picture
    evaluation_result     result of an evaluation during training
    host_metrics          metrics of each process of a run: step time, input wait, memory, and the
                          data order
    init_transform        initialisation of a model with the parameters of a trained one
    integrity             checksums of checkpoints, which detect damage before use
    loop                  the training loop: batch -> step -> metrics of the previous step ->
                          evaluation -> checkpoint
    metric_writer         visible output of a run: a progress line, metrics.jsonl and TensorBoard
                          events
    metrics_file          JSON Lines files such as metrics.jsonl: one line per step, appended by one
                          process
    model_spec            description of a model in its checkpoint: enough to build and feed it
                          without a config
    optimizer             AdamW with warm-up, cosine decay and clipping
    prediction            predictions of labelled instances by a model during or after training
    preemption            conversion of a stop request to a flag that the loop reads between steps
    pretrain_step         the step of pre-training: a pure function of state and batch
    pretrain_trainable    pre-training as a job of the loop: the step, held-out errors, and figures
    profiling             profiles of some steps for TensorBoard, at a configured step or on a
                          signal
    sharding              the device mesh: batches split over all devices, the state replicated or
                          sharded over 'fsdp'
    state                 the training state and its update
    supervised_step       the supervised training step: a pure function of state and batch
    supervised_trainable  supervised training as a job of the loop: the step, validation, and the
                          best model so far
    trainable             interface of a job of the loop: ``pretrain_job.PretrainTrainable`` or
                          ``supervised_job``'s
    trials                many runs below one folder, distributed over independent processes
    watchdog              timeout of waits for data that does not arrive, or for a process that
                          ended
    work_folder           the folder that a run writes, locked by that run for its lifetime
"""
