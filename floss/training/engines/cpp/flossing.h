// Flossing: the Lyapunov exponents of a run, their loss, its gradient by the reduced adjoint of
// floss/lyapunov/tangent_qr.py, and an Adam step, epoch after epoch. The one-step map is that of an architecture, an
// argument of the template:
//
//     threads(call)               how many threads may share a network; members of a team do each step together
//     TENSORS, FLOSSED, sizes     its parameters, as for training, and how many of them, the first ones, are flossed
//     n                           number of its state variables, the rows of its tangent vectors
//     pack(parameters, h0, width) takes parameters and initial state over, for tangent vectors of one width
//     advance(s, x, now, next)    a step: of the state, and next = D now; returns how many directions D may have at most
//     finite()                    whether the state is
//     clear()                     no gradient yet
//     pull(s, p, x, gp, out)      back through step s: out = Dᵀ gp, and the gradient of D p against gp is added
//     gradient(out)               of the parameters
//
// Layout, rows padded to Kp numbers for k tangent vectors:
//
//     P     [T_f + 1][n][Kp]  tangent vectors, one per column, before each step and after the last
//     X     [T_f][k][Kp]      R^{-T} of each QR decomposition, lower triangular
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "calls.h"
#include "flossing_epochs.h"
#include "orthonormaliser.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "width.h"
#include "workspace.h"

namespace {

// Forwards in double precision whatever T is, for rounding there is amplified: in single precision one gradient in eight
// would be wrong by more than 1e-3, some by 1e-2. Backwards in T.
template <class T, class Map>
struct Chain {
    using D = double;
    static constexpr int TENSORS = Map::TENSORS, FLOSSED = Map::FLOSSED;
    const FlossCall& call;
    const Team team;
    const int64_t steps, most;  // most: columns at most, padded
    Map map;
    const int64_t n;
    Orthonormaliser<D> qr;
    D *now, *next, *inverse_d, *R;  // forwards
    T *P, *X;                       // kept for the way back
    T *gp, *other, *mix, *g;
    Width<T> width;  // of the network at hand
    int64_t kept, counted;

    static int64_t threads(const FlossCall& call) { return Map::threads(call); }

    Chain(const FlossCall& call, Arena& arena, const Team& team)
        : call(call),
          team(team),
          steps(call.steps),
          most(padded<T>(call.columns)),
          map(call, arena, team),
          n(map.n),
          qr(n, call.columns, std::is_same_v<T, D>, arena, team) {
        R = arena.take<D>(steps * most), inverse_d = arena.take<D>(call.columns * most);
        now = arena.take<D>(n * most), next = arena.take<D>(n * most);
        P = arena.take<T>((steps + 1) * n * most), X = arena.take<T>(steps * call.columns * most);
        gp = arena.take<T>(n * most), other = arena.take<T>(n * most), mix = arena.take<T>(most * most);
        g = arena.take<T>(most);
        counted = 0;
        for (int64_t s = 0, since = 0; s < steps; ++s) {  // steps that count: those of the intervals that do
            ++since;
            if (call.interval[s] == 2) counted += since;
            if (call.interval[s]) since = 0;
        }
    }

    int64_t size(int tensor) const { return map.sizes[tensor]; }
    T* tangent(int64_t s) const { return P + s * n * width.Kp; }
    T* inverse(int64_t s) const { return X + (s - 1) * width.k * width.Kp; }  // of the decomposition that ends step s

    // Rows of tangent vectors, from one padding to the other.
    template <class To>
    void copy_rows(const T* from, int64_t rows, To* to, int64_t ld) const {
        const Span mine = team.share(rows);
        for (int64_t i = mine.begin; i < mine.end; ++i) {
            const T* const row = from + i * call.columns;
            for (int64_t j = 0; j < ld; ++j) to[i * ld + j] = j < width.k ? To(row[j]) : To(0);
        }
    }

    // The same, or those of an inverse, rounded to T; their padding is zero.
    void round_rows(const D* from, int64_t rows, T* to) const {
        const int64_t Kd = width.Kd, Kp = width.Kp;
        const Span mine = team.share(rows);
        for (int64_t i = mine.begin; i < mine.end; ++i) {
            for (int64_t j = 0; j < Kd; j += LANES<D>) store_rounded<T>(to + i * Kp + j, load(from + i * Kd + j));
            std::fill(to + i * Kp + Kd, to + (i + 1) * Kp, T(0));
        }
    }

    // The chain of decompositions from the state h0 and the tangent vectors q0 on.
    void forward(T* const (&p)[FLOSSED], const T* h0, const T* q0, int64_t k, const T* x) {
        width = Width<T>(k);
        qr.size(k);
        map.pack(p, h0, width);
        copy_rows(q0, n, now, width.Kd);
        copy_rows(q0, n, P, width.Kp);
        team.meet();
        kept = k;
        for (int64_t s = 0; s < steps; ++s) {
            kept = std::min(kept, map.advance(s, x + s * call.inputs, now, next));
            if (call.interval[s]) {
                D* const diagonal = R + s * most;
                qr.decompose(next, inverse_d, diagonal);
                round_rows(inverse_d, k, inverse(s + 1));
                // Below the bounds of floss/lyapunov/orthonormalisation.py, R_jj may be rounding noise in T.
                constexpr D noise = std::numeric_limits<T>::epsilon();
                const D bound = *std::max_element(diagonal, diagonal + k) *
                                (std::is_same_v<T, float> ? std::sqrt(D(n)) : D(32 * n)) * noise;
                for (int64_t j = 0; j < kept; ++j)
                    if (diagonal[j] <= bound) kept = j;
            }
            round_rows(next, n, tangent(s + 1));
            std::swap(now, next);
        }
    }

    // The exponents: NaN where the network is not finite, -inf from the first lost direction on.
    void exponents(double* out) const {
        const bool sound = map.finite();
        for (int64_t j = 0; j < width.k; ++j)
            out[j] = !sound ? NAN : j < kept ? growth(j) / double(counted) : -INFINITY;
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

    // The reduced adjoint, for slopes[j] = ∂loss / ∂λ_j.
    void backward(const double* slopes, const T* x, T* const (&gradient)[FLOSSED]) {
        const int64_t k = width.k, Kp = width.Kp, vectors = width.vectors;
        map.clear();
        if (team.leads()) {
            for (int64_t j = 0; j < k; ++j) g[j] = T(slopes[j] / double(counted));
            std::fill_n(gp, n * Kp, T(0)), std::fill_n(mix, Kp * Kp, T(0));
        }
        team.meet();
        bool first = true, next_counts = false;
        for (int64_t s = steps; s > 0; --s) {
            if (call.interval[s - 1]) {
                const T* q = tangent(s);
                const bool counts = call.interval[s - 1] == 2;
                // Q̄ ← [Q̄ + Q (diag(g_j - g_{j+1}) - striu(Qᵀ Q̄))] R^{-T}
                const auto above = [this](int64_t i, int, int64_t v, int width) {
                    return Span{0, (v + width) * LANES<T> > i ? n : 0};
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
                    product_blocks<T, NARROW<T>>(k, vectors, Strided<T>{q, 1, Kp}, Rows<T>{gp, Kp}, above, masked, team);
                } else if (team.leads()) {
                    for (int64_t j = 0; j < k; ++j) mix[j * Kp + j] = g[j] * scale;
                }
                team.meet();
                product_upper<T>(n, vectors, {q, Kp, 1}, mix, Kp, k, adding(gp, Kp), team);
                team.meet();
                product_lower<T>(n, vectors, {gp, Kp, 1}, inverse(s), Kp, k, storing(other, Kp), team);
                team.meet();
                std::swap(gp, other);
                first = false, next_counts = counts;
            }
            map.pull(s - 1, tangent(s - 1), x + (s - 1) * call.inputs, gp, other);
            std::swap(gp, other);
        }
        map.gradient(gradient);
    }  // members meet before they read it
};

template <class T, class Map>
using Flosser = FlossingEpochs<T, Chain<T, Map>>;

}  // namespace
