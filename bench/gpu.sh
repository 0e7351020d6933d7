#!/bin/sh
# Measure scattering, CQT and mel on one GPU: errors against ScatNet's golden output, milliseconds per clip at
# batch 64 (eager, as a CUDA graph, and from pinned memory), and kymatio in the same run where it is installed.
# Needs python with torch (CUDA), numpy, scipy and h5py. Options are passed on: --batch 64 --json PATH.
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" -m earmark.bench.gpu "$@"
