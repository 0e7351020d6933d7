#!/usr/bin/env bash
# Workers for `EARMARK_CLUSTER=... dvc repro` under Slurm: one per GPU, on as many nodes as the array has tasks.
#
#   dask scheduler --port 8786 --scheduler-file scheduler.json &      # on a node that all reach
#   sbatch --array=1-8 docs/slurm-workers.sh "$PWD/scheduler.json"
#   EARMARK_CLUSTER=tcp://$(hostname):8786 dvc repro features
#   scancel --name earmark-worker
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

# One thread: a shard uses all of the worker's cores, or its GPU. The nanny restarts a worker that dies.
exec dask worker \
    --scheduler-file "$scheduler_file" \
    --nthreads 1 \
    --resources "GPU=1" \
    --death-timeout 120 \
    --local-directory "${TMPDIR:-/tmp}"
