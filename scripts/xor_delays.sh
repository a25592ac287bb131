#!/usr/bin/env bash
# Makes results/xor_delays: accuracy against the delay after 1000 training epochs, without flossing and with flossing before
# training; one minute on two cores with the native engine.
set -euo pipefail
cd "$(dirname "$0")/.."
floss=${FLOSS:-.venv/bin/floss}
"$floss" train -m task=xor d=10,20,30,40,50,60 flossing=none,pre seeds=3 scale=small results=results/xor_delays
