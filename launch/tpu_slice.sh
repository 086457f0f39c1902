#!/usr/bin/env bash
# A run on all hosts of a Cloud TPU slice; give the flags of physio_mae_jax.main:
#
#   TPU=my-v5e-16 ZONE=us-west4-a bash launch/tpu_slice.sh \
#       --config=configs/pretrain.py:preset=base,data=ptbxl --workdir=/mnt/shared/runs/ptbxl
#
# On every host, beforehand: this repository in $REPOSITORY (default physio_mae_jax), its .venv with
# jax[tpu], and a shared file system (Filestore, or a bucket by gcsfuse) for --workdir.
# An interrupted run is restarted, at most $MAX_RESTARTS times (default 20).
set -uo pipefail

: "${TPU:?name the slice with TPU=NAME}" "${ZONE:?name its zone with ZONE=NAME}"
[[ " $* " == *" --workdir="* ]] || {
    echo "error: give --workdir=DIR, on a file system that all hosts of the slice see" >&2
    exit 2
}
printf -v flags '%q ' "$@"
printf -v repository '%q' "${REPOSITORY:-physio_mae_jax}"
command="cd $repository && .venv/bin/python -m physio_mae_jax.main --cluster=tpu $flags"

for ((left = ${MAX_RESTARTS:-20}; ; left--)); do
    gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$command"
    status=$?
    # 2: a setting or the data is wrong. Of several hosts gcloud may report another's status, and a
    # broken connection has its own; both are retried.
    ((status == 0 || status == 2 || left <= 0)) && exit "$status"
    echo "ended with status $status; restarts left: $left" >&2
    sleep "${PAUSE_SECONDS:-30}"
done
