#!/bin/sh
# Fig. 6: flossing λ₁ of ten LSTM and of ten ReLU networks for 100 epochs. About two minutes on one CPU core.
set -e
cd "$(dirname "$0")/.."
spectrum() {
    "${FLOSS:-.venv/bin/floss}" spectrum arch.n=32 seeds=10 input=gaussian flossing.k=1 flossing.epochs=100 steps=500 \
        results=results/fig6 "$@"
}
spectrum arch=lstm
spectrum arch=lstm flossing.lr=0.003
# As the paper has it, W ~ N(-0.1, g²/N): sooner or later no unit responds, and the exponents are -inf for good.
spectrum arch=relu random_g=true arch.mean=-0.1
# Networks that respond, at first stable (mean 0) or unstable (mean 0.1).
spectrum arch=relu random_g=true flossing.lr=0.01
spectrum arch=relu random_g=true arch.mean=0.1
