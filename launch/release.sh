#!/usr/bin/env bash
# Train, check and pack a model to share: releases/NAME, releases/NAME.tar.gz and its SHA-256.
# All flags after the name go to the pre-training, in runs/NAME; an interrupted or finished one is
# resumed. Without --config the run must be there.
#
#   LICENSE=CC-BY-4.0 bash launch/release.sh physio-tiny \
#       --config=configs/pretrain.py:preset=tiny,data=ptbxl
#   LICENSE=CC-BY-4.0 EVALUATION=runs/compared/comparison.md bash launch/release.sh physio-tiny
#
# LICENSE    of the weights, as an SPDX identifier; those of the data must permit it
# EVALUATION a Markdown file with results for the model card
# RUN, OUT   folder of the run (runs/NAME) and of all releases (releases)
# UPLOAD     OWNER/NAME on the Hugging Face hub; not uploaded by default
set -euo pipefail

name="${1:-}"
[[ -n "$name" && "$name" != -* ]] || {
    echo "error: name the model first: bash launch/release.sh physio-small --config=…" >&2
    exit 2
}
shift
: "${LICENSE:?name the license of the weights with LICENSE=CC-BY-4.0 or another one}"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
prepare_environment requirements.txt

run="${RUN:-runs/$name}"
if (($#)); then
    "$PYTHON" -m physio_mae_jax.main "$@" --workdir="$run"
fi
arguments=(--run="$run" --name="$name" --license="$LICENSE" --out="${OUT:-releases}")
[[ -z "${EVALUATION:-}" ]] || arguments+=(--evaluation="$EVALUATION")
[[ -z "${UPLOAD:-}" ]] || arguments+=(--upload="$UPLOAD")
exec "$PYTHON" -m physio_mae_jax.release "${arguments[@]}"
