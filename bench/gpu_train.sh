#!/bin/sh
# Measure an epoch of two published systems on one GPU: seconds, steps per second, the reading alone, in float32 and in
# bfloat16, as it is and compiled, against the bars. Needs python with torch (CUDA), pytorch-lightning, scikit-learn,
# h5py, pydantic and PyYAML. Options are passed on: --clips 15247 --systems scat-4l-cnn --json PATH.
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" -m earmark.bench.gpu_training "$@"
