#!/usr/bin/env bash
# Makes results/xor_d70: binary temporal XOR over 70 steps with the full reference protocol, eight networks for each
# schedule; and `during` and `pre` with flossing runs of 55 steps instead of max(55, d + 20) = 90. A quarter of an hour for
# each of the five on two cores at most; interrupted, it goes on where it stopped. Sums in float32 depend on the number of
# threads (environment.json holds it): OMP_NUM_THREADS sets it.
set -euo pipefail
cd "$(dirname "$0")/.."
floss=${FLOSS:-.venv/bin/floss}
"$floss" train -m task=xor d=70 flossing=during,pre,none seeds=8 results=results/xor_d70
for schedule in during pre; do
    "$floss" train task=xor d=70 flossing=$schedule seeds=8 flossing.steps=55 results=results/xor_d70
done
