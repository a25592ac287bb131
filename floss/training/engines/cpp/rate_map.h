// The one-step map of a rate network, for flossing: h → W φ(h) + V x / S + b with D = W diag(φ'), and its adjoint
// (floss/networks/rate/reduced_adjoint.py).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "activation.h"
#include "calls.h"
#include "product.h"
#include "vectors.h"
#include "width.h"
#include "workspace.h"

namespace {

template <class T, class Phi>
struct RateMap {
    using D = double;
    static constexpr int TENSORS = 6, FLOSSED = 3;  // W [N, N], V [N, S], b [N]; U [N], c [], h0 [B, N]
    const int64_t N, n, S, Np, Nd;                  // Nd: N padded for D
    const int64_t sizes[TENSORS];
    D *W_d, *Wt, *Ws, *Vt, *b, *h, *ahead;  // forwards
    T* rates;                               // [T_f][Np], kept for the way back
    T *W, *Pt, *gW, *gV, *gb, *gh, *pulled, *rowsum;
    Width<T> width;
    int64_t steps, most;

    RateMap(const FlossCall& call, Arena& arena)
        : N(call.n),
          n(N),
          S(call.inputs),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          sizes{N * N, N * S, N, N, 1, call.batch * N},
          steps(call.steps),
          most(padded<T>(call.columns)) {
        W_d = arena.take<D>(N * Nd), Wt = arena.take<D>(N * Nd), Ws = arena.take<D>(N * Nd), Vt = arena.take<D>(S * Nd);
        b = arena.take<D>(Nd), h = arena.take<D>(Nd), ahead = arena.take<D>(Nd);
        rates = arena.take<T>(steps * Np);
        W = arena.take<T>(N * Np), gW = arena.take<T>(N * Np), gV = arena.take<T>(S * Np), gb = arena.take<T>(Np);
        gh = arena.take<T>(Np), pulled = arena.take<T>(Np), rowsum = arena.take<T>(N * LANES<T>);
        Pt = arena.take<T>(most * Np);
    }

    void pack(T* const (&p)[FLOSSED], const T* h0, Width<T> of) {
        width = of;
        std::fill_n(W, N * Np, T(0)), std::fill_n(W_d, N * Nd, 0.), std::fill_n(Wt, N * Nd, 0.);
        std::fill_n(Vt, S * Nd, 0.), std::fill_n(b, Nd, 0.), std::fill_n(h, Nd, 0.),
            std::fill_n(rates, steps * Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < N; ++j)
                W[i * Np + j] = p[0][i * N + j], W_d[i * Nd + j] = Wt[j * Nd + i] = p[0][i * N + j];
            for (int64_t j = 0; j < S; ++j) Vt[j * Nd + i] = D(p[1][i * S + j]) / D(S);
            b[i] = p[2][i], h[i] = h0[i];
        }
    }

    // Returns the number of units with φ' ≠ 0.
    int64_t advance(int64_t s, const T* x, const D* now, D* next) {
        T* const kept = rates + s * Np;
        int64_t slopes = 0;
        for (int64_t v = 0; v < Nd; v += LANES<D>) store(h + v, Phi::template rate<D>(load(h + v)));  // now the rate
        for (int64_t i = 0; i < N; ++i) kept[i] = T(h[i]), slopes += Phi::template slope<T>(kept[i]) != T(0);
        for (int64_t i = 0; i < N; ++i)
            for (int64_t v = 0; v < Nd; v += LANES<D>) {
                const Vec<D> rate = load(h + v);
                store(Ws + i * Nd + v, load(W_d + i * Nd + v) * Phi::template slope<D>(rate));
            }
        product<D>(N, width.Kd / LANES<D>, {Ws, Nd, 1}, now, width.Kd, N, storing(next, width.Kd));
        product<D>(1, Nd / LANES<D>, {h, Nd, 1}, Wt, Nd, N, [&](int64_t, int64_t first, auto& acc) {
            int64_t at = first * LANES<D>;
            for (auto& state : acc) {
                state += load(b + at);
                for (int64_t i = 0; i < S; ++i) state += load(Vt + i * Nd + at) * D(x[i]);
                store(ahead + at, state);
                at += LANES<D>;
            }
        });
        std::swap(h, ahead);
        return slopes;
    }

    bool finite() const {
        return std::all_of(h, h + N, [](D number) { return std::isfinite(number); });
    }

    void clear() {
        std::fill_n(gW, N * Np, T(0)), std::fill_n(gV, S * Np, T(0)), std::fill_n(gb, Np, T(0)),
            std::fill_n(gh, Np, T(0));
        std::fill_n(Pt, most * Np, T(0));
    }

    void pull(int64_t s, const T* p, const T* input, const T* gp, T* out) {
        const int64_t k = width.k, Kp = width.Kp;
        const T* r = rates + s * Np;
        // W̄ += Z̄ (φ' ∘ P)ᵀ: the only product over columns, hence the transpose
        for (int64_t i = 0; i < N; ++i) {
            const T slope = Phi::template slope<T>(r[i]);
            for (int64_t j = 0; j < k; ++j) Pt[j * Np + i] = slope * p[i * Kp + j];
        }
        product<T>(N, Np / LANES<T>, {gp, Kp, 1}, Pt, Np, k, adding(gW, Np));
        // P̄ = φ' ∘ Wᵀ Z̄
        product<T>(N, width.vectors, {W, 1, Np}, gp, Kp, N, [&](int64_t i, int64_t v, auto& acc) {
            const T slope = Phi::template slope<T>(r[i]);
            int64_t at = i * Kp + v * LANES<T>;
            Vec<T> total = {};
            for (auto& x : acc) {
                const Vec<T> pulled = x * slope;
                store(out + at, pulled);
                total += pulled * load(p + at);
                at += LANES<T>;
            }
            T* const sums = rowsum + i * LANES<T>;
            store(sums, v ? load(sums) + total : total);
        });
        // h[s+1] = W r[s] + V x[s+1] / S + b
        for (int64_t i = 0; i < N; ++i)
            for (int64_t v = 0; v < Np; v += LANES<T>)
                store(gW + i * Np + v, load(gW + i * Np + v) + load(r + v) * gh[i]);
        for (int64_t v = 0; v < Np; v += LANES<T>) {
            store(gb + v, load(gb + v) + load(gh + v));
            for (int64_t i = 0; i < S; ++i) store(gV + i * Np + v, load(gV + i * Np + v) + load(gh + v) * input[i]);
        }
        product<T>(1, Np / LANES<T>, {gh, Np, 1}, W, Np, N, storing(pulled, Np));
        for (int64_t i = 0; i < N; ++i)
            gh[i] = Phi::template slope<T>(r[i]) * pulled[i] +
                    Phi::template curvature<T>(r[i]) * sum<T>(load(rowsum + i * LANES<T>));
    }

    void gradient(T* const (&out)[FLOSSED]) const {
        for (int64_t i = 0; i < N; ++i) {
            std::copy_n(gW + i * Np, N, out[0] + i * N);
            for (int64_t j = 0; j < S; ++j) out[1][i * S + j] = gV[j * Np + i] / T(S);
            out[2][i] = gb[i];
        }
    }
};

}  // namespace
