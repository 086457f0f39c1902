#!/usr/bin/env bash
# Set up the environment and pre-train. All flags are forwarded; without any, the tiny preset trains
# on synthetic data within minutes on a CPU:
#
#   bash launch/pretrain.sh
#   bash launch/pretrain.sh --config=configs/pretrain.py:preset=base,data=folder \
#       --config.data.path=/my/recordings --workdir=runs/mine
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment requirements.txt

arguments=("$@")
[[ " $* " == *" --config="* || " $* " == *" --config "* ]] ||
    arguments+=(--config=configs/pretrain.py)
[[ " $* " == *" --workdir="* || " $* " == *" --workdir "* ]] ||
    arguments+=(--workdir="runs/pretrain_$(date +%Y%m%d_%H%M%S)")
exec "$PYTHON" -m physio_mae_jax.main "${arguments[@]}"
