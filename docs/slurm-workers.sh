#!/usr/bin/env bash
# Workers for `EARMARK_CLUSTER=... dvc repro` under Slurm, as many as the array has tasks; a thread for each GPU of a task.
#
#   dask scheduler --port 8786 --scheduler-file scheduler.json &      # on a node that all reach
#   sbatch --array=1-8 docs/slurm-workers.sh "$PWD/scheduler.json"
#   EARMARK_CLUSTER=tcp://$(hostname):8786 dvc repro decode features
#   scancel --name earmark-worker
#
# Whoever reaches the port of such a scheduler, other users of this cluster too, can run any code as you. With
# `dask scheduler --protocol tls ...` and certificates (docs/cluster.md, TLS) only you can; this script stays as it is.
#
#SBATCH --job-name=earmark-worker
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --output=earmark-worker-%A-%a.log
#SBATCH --requeue
set -euo pipefail

scheduler_file=${1:?"the file that dask scheduler wrote (--scheduler-file)"}
environment=${EARMARK_ENVIRONMENT:-$SLURM_SUBMIT_DIR/.venv}

# shellcheck source=/dev/null
source "$environment/bin/activate"
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK

# A thread per GPU, or one: a shard uses a GPU, or all of the worker's cores. The nanny restarts a worker that dies.
gpus=${SLURM_GPUS_ON_NODE:-1}
exec dask worker \
    --scheduler-file "$scheduler_file" \
    --nthreads "$gpus" \
    --resources "GPU=$gpus" \
    --death-timeout 120 \
    --local-directory "${TMPDIR:-/tmp}"
