"""Training: steps, the loop, checkpoints, sharding over devices, and everything a run writes.

Modules::

    checkpoint            checkpoints of everything a run needs to resume; the only module that uses
                          Orbax
    classifier_spec       specification of a fine-tuned model, stored with its checkpoint; every
                          value is validated
    data_position         position in the training data, for resuming with any number of processes
    evaluation            validation errors and the arrays of a reconstruction plot
    evaluation_result     result of an evaluation during training
    host_metrics          metrics of each process of a run: step time, input wait, memory, and the
                          data order
    init_transform        initialization of a model with the parameters of a trained one
    integrity             checksums of checkpoints, which detect damage before use
    lora                  low-rank adapters of an encoder that stays as it was trained
    loop                  the training loop: batch -> step -> metrics of the previous step ->
                          evaluation -> checkpoint
    metric_writer         visible output of a run: a progress line, metrics.jsonl and TensorBoard
                          events
    metrics_file          JSON Lines files such as metrics.jsonl: one line per step, appended by one
                          process
    model_spec            specification of a model, stored in its checkpoint
    optimizer             AdamW with warm-up, cosine decay and clipping
    prediction            predictions of labeled instances by a model during or after training
    preemption            converting stop signals to a flag that the loop reads between steps
    pretrain_step         the step of pre-training: a pure function of state and batch
    pretrain_trainable    pre-training for the loop: the step, validation errors, and plots
    profiling             profiling of steps for TensorBoard, at a configured step or on a signal
    run_description       description of a model and of a batch, for the files and messages of a run
    sharding              the device mesh: batches split over all devices, the state replicated or
                          sharded over 'fsdp'
    state                 the training state and its update
    supervised_step       the supervised training step: a pure function of state and batch
    supervised_trainable  supervised training for the loop: the step, validation, and the best model
    trainable             interface between the loop and a kind of training
    trials                many runs in one folder, distributed over independent processes
    watchdog              timeout for operations that hang, such as waiting for data or processes
    work_folder           the work folder of a run, locked while the run lasts
"""
