#!/usr/bin/env bash
# Makes results/xor_d70: binary temporal XOR over 70 steps with the full reference protocol, eight networks for each
# schedule; and `during` with flossing runs of 55 steps instead of max(55, d + 20) = 90.
set -euo pipefail
cd "$(dirname "$0")/.."
floss=${FLOSS:-.venv/bin/floss}
"$floss" train -m task=xor d=70 flossing=during,pre,none seeds=8 results=results/xor_d70
"$floss" train task=xor d=70 flossing=during seeds=8 flossing.steps=55 results=results/xor_d70
