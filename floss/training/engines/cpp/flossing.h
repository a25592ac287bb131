// Flossing: the Lyapunov exponents of a run, their loss, its gradient by the reduced adjoint of
// floss/reduced_adjoint.py, and an Adam step, epoch after epoch.
//
// Layout, rows padded to Np numbers for N units and Kp for k tangent vectors:
//
//     P     [T_f + 1][N][Kp]  tangent vectors, one per column, before each step and after the last
//     X     [T_f][k][Kp]      R^{-T} of each QR decomposition, lower triangular
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "adam.h"
#include "calls.h"
#include "orthonormaliser.h"
#include "philox.h"
#include "product.h"
#include "vectors.h"
#include "workspace.h"

namespace {

// Forwards in double precision whatever T is, for rounding there is amplified: in single precision one gradient in eight
// would be wrong by more than 1e-3, some by 1e-2. Backwards in T.
template <class T>
struct Flosser {
    using D = double;
    const FlossCall& call;
    const int64_t N, S, steps, Np, Nd, most;  // Nd: N padded for D; most: columns at most, padded
    int64_t sizes[TENSORS];
    Orthonormaliser<D> qr;
    D *W_d, *Wt, *Ws, *Vt, *b, *h, *ahead, *now, *next, *inverse_d, *R;  // forwards
    T *P, *X, *rates, *x;                                                // kept for the way back
    T *W, *gp, *other, *mix, *Pt, *gW, *gV, *gb, *gh, *pulled, *rowsum, *g;
    T* gradient[3];
    int64_t k, Kp, Kd, vectors;  // of the network at hand, padded for T and for D; vectors of Kp

    Flosser(const FlossCall& call, Arena& arena)
        : call(call),
          N(call.n),
          S(call.inputs),
          steps(call.steps),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          most(padded<T>(call.columns)),
          sizes{N * N, N * S, N, 0, 0, 0},
          qr(N, call.columns, std::is_same_v<T, D>, arena) {
        W_d = arena.take<D>(N * Nd), Wt = arena.take<D>(N * Nd), Ws = arena.take<D>(N * Nd), Vt = arena.take<D>(S * Nd);
        b = arena.take<D>(Nd), h = arena.take<D>(Nd), ahead = arena.take<D>(Nd), R = arena.take<D>(steps * most);
        now = arena.take<D>(N * most), next = arena.take<D>(N * most), inverse_d = arena.take<D>(call.columns * most);
        P = arena.take<T>((steps + 1) * N * most), X = arena.take<T>(steps * call.columns * most);
        rates = arena.take<T>(steps * Np), x = arena.take<T>(steps * S);
        W = arena.take<T>(N * Np), gW = arena.take<T>(N * Np), gV = arena.take<T>(S * Np), gb = arena.take<T>(Np);
        gh = arena.take<T>(Np), pulled = arena.take<T>(Np), rowsum = arena.take<T>(N * LANES<T>);
        gp = arena.take<T>(N * most), other = arena.take<T>(N * most), mix = arena.take<T>(most * most);
        Pt = arena.take<T>(most * Np), g = arena.take<T>(most);
        for (int i = 0; i < 3; ++i) gradient[i] = arena.take<T>(sizes[i]);
    }

    T* tangent(int64_t s) const { return P + s * N * Kp; }
    T* inverse(int64_t s) const { return X + (s - 1) * k * Kp; }  // R^{-T} of the decomposition that ends step s

    // Rows of tangent vectors or of an inverse, from one precision and padding to the other.
    template <class From, class To>
    void copy_rows(const From* from, int64_t ld, int64_t rows, To* to, int64_t ld_to) const {
        for (int64_t i = 0; i < rows; ++i, from += ld, to += ld_to) {
            for (int64_t j = 0; j < k; ++j) to[j] = To(from[j]);
            std::fill(to + k, to + ld_to, To(0));
        }
    }

    void pack(T* const (&p)[3], const T* h0, const T* q0) {
        std::fill_n(W, N * Np, T(0)), std::fill_n(W_d, N * Nd, 0.), std::fill_n(Wt, N * Nd, 0.);
        std::fill_n(Vt, S * Nd, 0.), std::fill_n(b, Nd, 0.), std::fill_n(h, Nd, 0.),
            std::fill_n(rates, steps * Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            for (int64_t j = 0; j < N; ++j)
                W[i * Np + j] = p[0][i * N + j], W_d[i * Nd + j] = Wt[j * Nd + i] = p[0][i * N + j];
            for (int64_t j = 0; j < S; ++j) Vt[j * Nd + i] = D(p[1][i * S + j]) / D(S);
            b[i] = p[2][i], h[i] = h0[i];
        }
        copy_rows(q0, call.columns, N, now, Kd);
        copy_rows(q0, call.columns, N, P, Kp);
    }

    // The chain of decompositions. Returns the first lost direction, k where there is none.
    int64_t forward() {
        int64_t responding = k;  // D has at most as many directions as units with φ' ≠ 0
        for (int64_t s = 0; s < steps; ++s) {
            T* const kept = rates + s * Np;
            int64_t slopes = 0;
            for (int64_t v = 0; v < Nd; v += LANES<D>) store(h + v, tanh_of<D>(load(h + v)));  // now the rate
            for (int64_t i = 0; i < N; ++i) kept[i] = T(h[i]), slopes += T(1) - kept[i] * kept[i] != T(0);
            responding = std::min(responding, slopes);
            for (int64_t i = 0; i < N; ++i)
                for (int64_t v = 0; v < Nd; v += LANES<D>) {
                    const Vec<D> rate = load(h + v);
                    store(Ws + i * Nd + v, load(W_d + i * Nd + v) * (1. - rate * rate));
                }
            product<D>(N, Kd / LANES<D>, {Ws, Nd, 1}, now, Kd, N, storing(next, Kd));
            product<D>(1, Nd / LANES<D>, {h, Nd, 1}, Wt, Nd, N, [&](int64_t, int64_t first, auto& acc) {
                int64_t at = first * LANES<D>;
                for (auto& state : acc) {
                    state += load(b + at);
                    for (int64_t i = 0; i < S; ++i) state += load(Vt + i * Nd + at) * D(x[s * S + i]);
                    store(ahead + at, state);
                    at += LANES<D>;
                }
            });
            std::swap(h, ahead);
            if (call.interval[s]) {
                D* const diagonal = R + s * most;
                qr.decompose(next, inverse_d, diagonal);
                copy_rows(inverse_d, Kd, k, inverse(s + 1), Kp);
                // Below the bounds of floss/orthonormalisation.py, R_jj may be rounding noise in T.
                constexpr D noise = std::numeric_limits<T>::epsilon();
                const D bound = *std::max_element(diagonal, diagonal + k) *
                                (std::is_same_v<T, float> ? std::sqrt(D(N)) : D(32 * N)) * noise;
                for (int64_t j = 0; j < responding; ++j)
                    if (diagonal[j] <= bound) responding = j;
            }
            copy_rows(next, Kd, N, tangent(s + 1), Kp);
            std::swap(now, next);
        }
        return responding;
    }

    // Σ log R_jj over the counted intervals: as products, for a logarithm costs as much as eighty of them.
    double growth(int64_t j) const {
        double total = 0, product = 1;
        for (int64_t s = 0; s < steps; ++s) {
            if (call.interval[s] != 2) continue;
            const double r = R[s * most + j];
            if (r > 1e-100 && r < 1e100)
                product *= r;
            else
                total += std::log(r);
            if (!(product > 1e-200 && product < 1e200)) total += std::log(product), product = 1;
        }
        return total + std::log(product);
    }

    // The reduced adjoint: g[j] = ∂loss / ∂(Σ log R_jj).
    void backward() {
        std::fill_n(gW, N * Np, T(0)), std::fill_n(gV, S * Np, T(0)), std::fill_n(gb, Np, T(0)),
            std::fill_n(gh, Np, T(0));
        std::fill_n(gp, N * Kp, T(0)), std::fill_n(mix, Kp * Kp, T(0)), std::fill_n(Pt, most * Np, T(0));
        bool first = true, next_counts = false;
        for (int64_t s = steps; s > 0; --s) {
            if (call.interval[s - 1]) {
                const T* q = tangent(s);
                const bool counts = call.interval[s - 1] == 2;
                // Q̄ ← [Q̄ + Q (diag(g_j - g_{j+1}) - striu(Qᵀ Q̄))] R^{-T}
                const auto above = [this](int64_t i, int, int64_t v, int width) {
                    return Span{0, (v + width) * LANES<T> > i ? N : 0};
                };
                const T scale = T(int(counts) - int(next_counts));
                const auto masked = [&](int64_t i, int64_t v, auto& acc) {
                    T* at = mix + i * Kp + v * LANES<T>;
                    for (auto& x : acc) store(at, -x), at += LANES<T>;
                    T* const row = mix + i * Kp;
                    const int64_t begin = v * LANES<T>, end = begin + int64_t(sizeof acc) / int64_t(sizeof(T));
                    for (int64_t j = begin; j < std::min(i, end); ++j) row[j] = T(0);
                    if (begin <= i && i < end) row[i] = g[i] * scale;
                };
                if (!first) {
                    product_blocks<T, NARROW<T>>(k, vectors, Strided<T>{q, 1, Kp}, gp, Kp, above, masked);
                } else {
                    for (int64_t j = 0; j < k; ++j) mix[j * Kp + j] = g[j] * scale;
                }
                product_upper<T>(N, vectors, {q, Kp, 1}, mix, Kp, k, adding(gp, Kp));
                product_lower<T>(N, vectors, {gp, Kp, 1}, inverse(s), Kp, k, storing(other, Kp));
                std::swap(gp, other);
                first = false, next_counts = counts;
            }
            const T *r = rates + (s - 1) * Np, *p = tangent(s - 1), *input = x + (s - 1) * S;
            // W̄ += Z̄ (φ' ∘ P)ᵀ: the only product over columns, hence the transpose
            for (int64_t i = 0; i < N; ++i) {
                const T slope = T(1) - r[i] * r[i];
                for (int64_t j = 0; j < k; ++j) Pt[j * Np + i] = slope * p[i * Kp + j];
            }
            product<T>(N, Np / LANES<T>, {gp, Kp, 1}, Pt, Np, k, adding(gW, Np));
            // P̄ = φ' ∘ Wᵀ Z̄
            product<T>(N, vectors, {W, 1, Np}, gp, Kp, N, [&](int64_t i, int64_t v, auto& acc) {
                const T slope = T(1) - r[i] * r[i];
                int64_t at = i * Kp + v * LANES<T>;
                Vec<T> total = {};
                for (auto& x : acc) {
                    const Vec<T> pulled = x * slope;
                    store(other + at, pulled);
                    total += pulled * load(p + at);
                    at += LANES<T>;
                }
                T* const sums = rowsum + i * LANES<T>;
                store(sums, v ? load(sums) + total : total);
            });
            std::swap(gp, other);
            // h[s] = W r[s-1] + V x[s] / S + b, and φ''/φ' = -2 r
            for (int64_t i = 0; i < N; ++i)
                for (int64_t v = 0; v < Np; v += LANES<T>)
                    store(gW + i * Np + v, load(gW + i * Np + v) + load(r + v) * gh[i]);
            for (int64_t v = 0; v < Np; v += LANES<T>) {
                store(gb + v, load(gb + v) + load(gh + v));
                for (int64_t i = 0; i < S; ++i) store(gV + i * Np + v, load(gV + i * Np + v) + load(gh + v) * input[i]);
            }
            product<T>(1, Np / LANES<T>, {gh, Np, 1}, W, Np, N, storing(pulled, Np));
            for (int64_t i = 0; i < N; ++i)
                gh[i] = (T(1) - r[i] * r[i]) * pulled[i] - T(2) * r[i] * sum<T>(load(rowsum + i * LANES<T>));
        }
        for (int64_t i = 0; i < N; ++i) {
            std::copy_n(gW + i * Np, N, gradient[0] + i * N);
            for (int64_t j = 0; j < S; ++j) gradient[1][i * S + j] = gV[j * Np + i] / T(S);
            gradient[2][i] = gb[i];
        }
    }

    void run(int64_t i) {
        if (call.mode == TRAIN && call.diverged[i]) return;
        const int64_t network = call.index[i];
        T* p[3];
        for (int t = 0; t < 3; ++t) p[t] = static_cast<T*>(call.parameters[t]) + network * sizes[t];
        const T* const h0 = static_cast<const T*>(call.parameters[5]) + network * call.batch * N;
        k = call.k[i], Kp = padded<T>(k), Kd = padded<D>(k), vectors = Kp / LANES<T>;
        qr.size(k);
        int64_t counted = 0;
        for (int64_t s = 0, since = 0; s < steps; ++s) {  // steps that count: those of the intervals that do
            ++since;
            if (call.interval[s] == 2) counted += since;
            if (call.interval[s]) since = 0;
        }
        double* const exponents = call.exponents + i * call.columns;
        for (int64_t epoch = 0; epoch < call.epochs; ++epoch) {
            if (call.mode == GRADIENT) {
                std::copy_n(static_cast<const T*>(call.x) + i * steps * S, steps * S, x);
            } else {
                const Philox random{std::uint64_t(call.seeds[i]), std::uint32_t(call.stream),
                                    std::uint32_t(call.first_life[i] + epoch)};
                call.uniform ? random.uniform(x, steps * S) : random.bits(x, steps * S);
            }
            pack(p, h0, static_cast<const T*>(call.q0) + i * N * call.columns);
            const int64_t kept = forward();
            bool sound = true;
            for (int64_t j = 0; j < N; ++j) sound = sound && std::isfinite(h[j]);
            double loss = 0;
            for (int64_t j = 0; j < k; ++j) {
                exponents[j] = !sound ? NAN : j < kept ? growth(j) / double(counted) : -INFINITY;
                const double error = exponents[j] - call.target[i];
                const bool lost = sound && j >= kept;
                if (!lost) loss += error * error / double(k);
                g[j] = lost ? T(0) : T(2 * error / double(k) / double(counted));
            }
            call.loss[i] = loss;
            sound = sound && std::isfinite(loss);
            if (sound || call.mode == GRADIENT) backward();
            if (call.mode == GRADIENT) {
                for (int t = 0; t < 3; ++t)
                    std::copy_n(gradient[t], sizes[t], static_cast<T*>(call.gradient[t]) + i * sizes[t]);
                return;
            }
            for (int t = 0; t < 3 && sound; ++t) sound = !std::isnan(norm_of(gradient[t], sizes[t]));
            if (!sound) {
                call.diverged[i] = 1;
                return;
            }
            const int64_t step = ++call.adam_steps[network];
            for (int t = 0; t < 3; ++t)
                adam_step(p[t], gradient[t], static_cast<T*>(call.mean[t]) + network * sizes[t],
                          static_cast<T*>(call.square[t]) + network * sizes[t], sizes[t], T(1), call.lr, step);
        }
    }
};

}  // namespace
