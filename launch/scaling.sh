#!/usr/bin/env bash
# Scaling of data parallelism on this host: the training-step benchmark on 1, 2, 4, … devices with
# the same batch on each. Prints a table, and writes the raw lines to a file.
#
#   bash launch/scaling.sh    # v3 base and upstream with 12 leads, contrastive with 2 channels
#   DEVICES="1 2 4" PER_DEVICE=8 CASES=preset=tiny bash launch/scaling.sh
#   SIMULATED=4 CASES=preset=debug PER_DEVICE=2 bash launch/scaling.sh    # on CPU devices
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment requirements.txt

SIMULATED="${SIMULATED:-0}"
PER_DEVICE="${PER_DEVICE:-32}"
CASES="${CASES:-preset=base preset=upstream preset=base,variant=contrastive}"
ATTENTION="${ATTENTION:-xla}"
OUTPUT="${OUTPUT:-$(mktemp)}"
if [ "$SIMULATED" != 0 ]; then
    export JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES="$SIMULATED"
fi
FOUND="$("$PYTHON" -c 'import jax; print(jax.device_count())')"

for case in $CASES; do
    channels=12
    [[ "$case" == *contrastive* ]] && channels=2
    for devices in ${DEVICES:-1 2 4 8}; do
        [ "$devices" -le "$FOUND" ] || continue
        "$PYTHON" -m physio_mae_jax.benchmark --benchmarks=train --channels="$channels" \
            --config=configs/pretrain.py:"$case",attention="$ATTENTION" \
            --config.num_devices="$devices" --config.batch_size=$((PER_DEVICE * devices)) \
            --label="$case" --out="$OUTPUT" > /dev/null
    done
done
"$PYTHON" -m physio_mae_jax.benchmarks.scaling "$OUTPUT"
