#!/usr/bin/env bash
# Set up what is needed and pre-train. All flags are passed on; without any, the tiny preset learns
# from synthetic data within minutes on a CPU:
#
#   bash launch/pretrain.sh
#   bash launch/pretrain.sh --config=configs/pretrain.py:preset=base,data=folder \
#       --config.data.path=/my/recordings --workdir=runs/mine
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment requirements.txt

# Compiled programs are kept, so that a second run starts at once.
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$HOME/.cache/physio_mae_jax/jax}"

arguments=("$@")
[[ " $* " == *" --config="* || " $* " == *" --config "* ]] ||
    arguments+=(--config=configs/pretrain.py)
[[ " $* " == *" --workdir="* || " $* " == *" --workdir "* ]] ||
    arguments+=(--workdir="runs/pretrain_$(date +%Y%m%d_%H%M%S)")
exec "$PYTHON" -m physio_mae_jax.main "${arguments[@]}"
