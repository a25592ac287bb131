#!/bin/sh
# Fig. 16: convergence of single exponents from ten initial states of one network. Seconds.
set -e
cd "$(dirname "$0")/.."
"${FLOSS:-.venv/bin/floss}" spectrum states=10 arch.relaxation=0 steps=100 transient=0 flossing.epochs=0 input=gaussian \
    results=results/fig16
