"""Terms that the project replaced, as patterns, each with the standard term to write instead.

A pattern is a regular expression, matched in every line of code, configs, launch scripts, tests and
guides. Lower-case patterns also match at the start of a sentence.
"""

# One word for one thing: words that once had several meanings.
AMBIGUOUS = {
    r"config\.units\.|\bunits\.(task|classes|max_windows)|unit_ids?\b|unit_seconds"
    r"|instance_seconds": ("labels.*, instances (units are physical)"),
    r"import Units|\bUnits[\](]|UnitConfig|find_units|data[./]units\b": (
        "Instances, LabelConfig, collect_instances"
    ),
    r"config\.task (=|in|!=)": "config.command (a task is a set of labels)",
    r"\b(Pretrain|Supervised)Task\b|TaskKind": "PretrainSpec, SupervisedSpec, ProblemType",
    r"\bPARTS\b|config\.part\b|judged_part|opened\.parts|split\.parts": (
        "split (train, validation, test)"
    ),
    r"config\.data\.split\b(?!_)": "config.data.split_rule",
    r"\bfigures that hold|(?<=\w)\.figures\b|physio_mae_jax[./]figures": "plots, or metrics",
    r"models\.encoder import Encoder": "TransformerEncoder",
    r"\bhidden_(columns|spans|seconds|ratio)|is_hidden\b|\"hidden\"|\bhidden columns": "masked",
    r"\bchannel_drop\b|\brow_ratio\b|mask\.ratio\b|tubelet": (
        "channel_dropout, channel_mask_ratio, row_mask_ratio, mask_ratio, tube"
    ),
    r"pretrain\.py:[\w=,+]*\bmodel=": "variant=",
    r"finetune\.py:[\w=,+]*\bmodel=": "architecture=",
    r"config\.(run|start|weights|weights_config)\b|config\.pretrained=": (
        "init_from, torch_weights, torch_config"
    ),
    r"config\.(sets|root|path)\b": "config.data.*",
    r"\b_?[A-Z]\w*Settings\b": "*Config",
    r"\b(summari[sz]e|render|read_index|build_model|build_task|standardised)\(": (
        "a name that says what: pool_latents, render_report, read_prepared_index …"
    ),
    r"\b(training\.entries|ComparedEntry|run_entries|list_entries)\b": "Trial, run_trials",
    r"formats[./]layout\b|\bPreparedContract\b|\bModelContract\b|\bInputContract\b": (
        "file_facts, PreparedMetadata, ModelSpec, InputSpec"
    ),
}

# Modules, classes and functions.
NAMES = {
    r"inference[./](given|transformer|preparing|collected|program|settings|features|batches|positions"
    r"|delay|torch_layout|trained)\b": "see inference/",
    r"\b(given_recordings|recordings_of|GivenRecordings\.of)\b": "as_recordings",
    r"\bEncodingPrograms\b|\bclass Collected\b": "CompiledEncoder, OverlapAverager",
    r"evaluation[./](readout|frozen|judged|working|reading|decisions|measures|weighting|pooling|card\w*"
    r"|trained)\b": "see evaluation/",
    r"\b(Readout|read_linearly|read_by_neighbours|read_off|readout_of)\b": (
        "ProbeResult, linear_probe, knn_probe, run_probe"
    ),
    r"\b(judge_frozen|Judged|read_judged|is_judged|do_all|require_done)\b": (
        "evaluate_probe, EvaluatedRun, load_evaluation, has_report, run_pending, check_complete"
    ),
    r"\bDecisions\(|import Decisions|\bfit_decisions\b|\bread_decisions\b|decisions\.json": (
        "Calibration, fit_calibration, load_calibration, calibration.json"
    ),
    r"\bwrite_card\b|evaluation card": "write_report, evaluation report",
    r"[Jj]udge": "evaluate",
    r"\bclass Job\b|\b(is_over|losses_in_words|draw_progress)\b": (
        "Trainable, should_stop, format_losses, plot_learning_curves"
    ),
    r"\b(whole_file|telling_a_full_disk|try_to_write|telling_\w+)\b": (
        "atomic_write, disk_full_as_user_error, check_writable"
    ),
    r"\bHostMeter\b|\blagging\b|\bStopRequest\b": "HostMetrics, find_straggler, PreemptionHandler",
    r"training[./](artifacts|hosts|interrupts|progress|reporter|judgement|entries|job|pretrain_job"
    r"|supervised_job|trained_params|model_contract|past_run)\b": "see training/",
    r"\bReporter\b": "MetricWriter",
    r"channels_alone|channels alone": "channel_independent",
    r"\bTrainedParams\b|TrainState\.average|\bstate\.average\b|\bhalted\b": (
        "InitTransform, ema_params, non_finite"
    ),
    r"\b_(Dispatched|Tools|settle)\b": "_PendingStep, _LoopContext, _log_metrics",
    r"\b(by_size|_SMALLEST_CUT|on_mesh|along_batch|keep_by_size)\b": (
        "fsdp_sharding, min_size_to_shard, with_mesh, batch_sharding"
    ),
    r"\bredraw\(|\bdecayed\b|\bdepth_multipliers\b": (
        "reconstruct_masked, weight_decay_mask, layerwise_lr_scale"
    ),
    r"\b(Beginning|choose_beginning|beginning_of_encoder|StartingEncoder|untrained_like)\b": (
        "EncoderInit, resolve_init, init_from_encoder, PretrainedEncoder, random_init"
    ),
    r"\b(how_it_came_about|describe_run|_DRAWN_BY|learned_from)\b": (
        "provenance, write_run_metadata, _SAMPLING_KEYS, training_provenance"
    ),
    r"experiment[./](past_run|many|differences|labelled|encoders|environment|frozen|trained"
    r"|settings)\b": "see experiment/",
    r"\bKEPT\b|models[./](kept|neighbourhood|layers_of)\b|\bNeighbourhood\b": (
        "save_for_backward, LocalAttention"
    ),
    r"\b(takes_part|of_those|Taps|LastProduct|LinearParameters|_Restoring)\b": (
        "example_mask, masked, DepthwiseKernel, SplitMatmul, DenseParams"
    ),
    r"\bturn_halves\b|\bchannel_identity\b": "rotate_half, channel_embedding",
    r"\beach_device_its_own\b|signals[./](own_examples|montage|heart_model|noise_model)\b": (
        "shard_map_batch, data_parallel, channel_derivation, heart_simulator, noise_simulator"
    ),
    r"\bclass Montage\b|\bPOLICIES\b|\bclass Finding\b|\bRateChange\b": (
        "ChannelDerivation, CHANNEL_PRESETS, Artifact, Resampler"
    ),
    r"jax[./]data[./](stretches|scanned|read_ahead|checks|model_spec)\b|\bread_ahead\b": (
        "window_starts, gap_scan, prefetch, validation, input_spec"
    ),
    r"\bStarts\b|\bstretch_step\b|class Marks\b|\bOpenedData\b|\brequire_part\b": (
        "WindowStarts, window_stride, Annotations, DatasetBundle, require_split"
    ),
    r"preparation[./](catalogue|server|plan)\b|\bRefusal\b": (
        "registry, http_client, RejectedRecording"
    ),
    r"\b(JoinedSource|SetName|EndlessSlots|disturbed|judged_batches|TrainingRecord)\b": (
        "ConcatSource, DatasetName, InfiniteShuffle, augmented, evaluation_batches, "
        "TrainingProvenance"
    ),
    r"physio_mae_jax[./](measurement|cluster|command_line)\b|\bclass Bench\b|\bseen_by\b": (
        "benchmarks, distributed, cli, BenchmarkSpec, token_counts"
    ),
    r"\b(take_most_of_a_gpu|keep_compiled_programs)\b": (
        "set_gpu_memory_fraction, enable_compilation_cache"
    ),
    r"\bway_out\b|\bWAY_OUT\b": "hint",
}

# Keys of configs and flags.
KEYS = {
    r"\baverage_decay\b|\bleast_positives\b|\bnum_replicates\b|\btempo_range\b": (
        "ema_decay, min_positives, num_resamples, speed_perturbation"
    ),
    r"augment\.(drift|mains)\b": "baseline_wander, powerline",
    r"\b(max_held_out_windows|keep_checkpoints|stall_seconds|event_position)\b": (
        "max_validation_windows, max_to_keep, watchdog_seconds, event_offset"
    ),
    r"trained,untrained|config\.(fractions|rows|report)\b": (
        "encoders=pretrained,random, label_fractions, models, worker"
    ),
    r"--(grow|plan|cases)\b": "--sweep, --fit_memory_gib, --benchmarks",
    r"\b_?(MOST|LEAST|FEWEST)_|_(MOST|LEAST|FEWEST)\b|\b(?<!\.)(most|least)_\w+\b": "max, min",
}

# Prose.
PROSE = {
    r"\b(go|goes|going|gone) on (with|from|at|where)\b": "resume",
    r"\bdear(er|est)?\b": "expensive",
    r"\b(is|are|was|were|be) told\b|\btold (apart|by)\b|\btelling\b": (
        "reported, distinguished, classified"
    ),
    r"\baloud\b": "with a warning",
    r"\bfeign": "optimistic bias",
    r"\bhonest (baseline|test)": "naive baseline",
    r"\bstretch(es)?\b": "interval, segment",
    r"(?<!in )(?<!decimal )\bplaces?\b(?! of\b)": "position",
    r"(?<!subject )\bleft out\b|left_out|leave_out|leaves out": "excluded",
    r"\bmade up\b|\bmade-up\b": "synthetic",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<!onnection)(?<!onnection )[Rr]efus(e|es|ed|ing|al|als)(?![a-z])": "reject, raise",
    r"\b(in|of) (other|its own|plain) words\b|\bworded\b|\bword_\w+": "message, format",
    r"\bpeople\b|\bpersons?\b(?! id )": "subjects",
    r"(?<!tandard )(?<!^)\bdeviations?\b(?! from)": "standard deviation, std",
    r"\bwritten out\b": "unrolled",
    r"\bcomputed again\b": "rematerialized",
    r"\blone\b": "single",
    r"\b(a|the|each|one|every|last|next|first|second|between) looks?\b": "evaluation",
    r"whole or not at all": "atomically",
    r"\bhouse\b|\b(a|the|other|all|its|their) rooms?\b|\b(a|the|its) doors?\b": (
        "package, module, entry point"
    ),
    r"what users mistake": "common mistakes",
    r"\bspec\.md\b|\bdefect D\d": "a section of a guide, or the paper",
}

BANNED = AMBIGUOUS | NAMES | KEYS | PROSE
