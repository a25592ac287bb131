#!/usr/bin/env bash
# Makes results/xor_d70: binary temporal XOR over 70 steps with the full reference protocol, ten networks for each of four
# schedules; and `during` and `pre` with flossing runs of 55 steps instead of max(55, d + 20) = 90. Nine minutes on two cores
# with the native engine; interrupted, it goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
floss=${FLOSS:-.venv/bin/floss}
"$floss" train -m task=xor d=70 flossing=none,pre,during,early seeds=10 results=results/xor_d70
for schedule in during pre; do
    "$floss" train task=xor d=70 flossing=$schedule seeds=10 flossing.steps=55 results=results/xor_d70
done
