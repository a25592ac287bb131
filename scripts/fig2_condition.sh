#!/bin/sh
# Fig. 2: condition number of the long-term Jacobian before and after flossing 15, 40 or 75 exponents, in float64 and with
# 256 bits per float. About half an hour on one CPU core; needs `pip install -e '.[exact]'`.
set -e
cd "$(dirname "$0")/.."
"${FLOSS:-.venv/bin/floss}" condition seeds=3 steps=500 flossing.steps=500 flossing.epochs=500 'flossing.k=[15,40,75]' \
    'dims=[15,75,80]' bits=256 results=results/fig2
