// The one-step map of a gated cell, for flossing. The terms are those of gated_weights.h.
//
// Tangent vectors are rows of units, of h and then of `own` where that is another variable. With the gates' tangents
// W_g dh, and the slopes of the cell,
//
//     down' = ∂own'/∂own down + Σ_{g<3} ∂own'/∂block_g W_g dh,     dh' = ∂h'/∂own' down' + ∂h'/∂block_3 W_3 dh  (or down')
//
// and backwards, the slopes have adjoints as well, which are sums over the tangent vectors.
//
// Layout, rows padded to Kp numbers for k tangent vectors:
//
//     tangents [T_f][unit][gate][Kp]   of the gates
//     kept     [T_f][KEPT][Np]         what the cell keeps of a step
//     states   [T_f][Np]               h before each step
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "calls.h"
#include "gated_weights.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "width.h"
#include "workspace.h"

namespace {

template <class T, class Cell>
struct GatedMap {
    using D = double;
    static constexpr int GATES = Cell::GATES, BLOCKS = Cell::BLOCKS, KEPT = Cell::KEPT, SLOPES = Cell::SLOPES;
    static constexpr int VARIABLES = Cell::VARIABLES, INTO_OWN = 3, KEEP = 4, LEAVE = 5;  // rows of the slopes
    static constexpr int FLOSSED = 2 + Cell::BIASES, TENSORS = FLOSSED + 3;
    const int64_t N, n, S, Np, Nd, steps;
    int64_t sizes[TENSORS];
    GatedWeights<D, Cell> weights;
    D *W_d, *h, *own, *ahead, *slope_d, *kept_d;  // forwards; W_d [unit][gate][Nd]
    T *tangents, *kept, *states;                  // kept for the way back
    T *W, *Pt, *gW, *gV, *gb, *gh, *gown, *slope, *gslope, *pulled, *delta, *outer;
    Width<T> width;
    int64_t most;

    static int64_t threads(const FlossCall&) { return 1; }

    GatedMap(const FlossCall& call, Arena& arena, const Team&)
        : N(call.n),
          n(VARIABLES * N),
          S(call.inputs),
          Np(padded<T>(N)),
          Nd(padded<D>(N)),
          steps(call.steps),
          weights(N, S, arena),
          most(padded<T>(call.columns)) {
        sizes[0] = GATES * N * N, sizes[1] = GATES * N * S, sizes[2] = GATES * N;
        if constexpr (Cell::BIASES == 2) sizes[3] = N;
        sizes[FLOSSED] = N, sizes[FLOSSED + 1] = 1, sizes[FLOSSED + 2] = call.batch * n;
        W_d = arena.take<D>(GATES * N * Nd), h = arena.take<D>(Nd), own = arena.take<D>(Nd), ahead = arena.take<D>(Nd);
        slope_d = arena.take<D>(SLOPES * Nd), kept_d = arena.take<D>(KEPT * Nd);
        tangents = arena.take<T>(steps * GATES * N * most), kept = arena.take<T>(steps * KEPT * Np);
        states = arena.take<T>(steps * Np);
        W = arena.take<T>(GATES * N * Np), gW = arena.take<T>(GATES * N * Np), Pt = arena.take<T>(most * Np);
        gV = arena.take<T>(S * BLOCKS * Np), gb = arena.take<T>(BLOCKS * Np), gh = arena.take<T>(Np);
        gown = arena.take<T>(Np), slope = arena.take<T>(SLOPES * Np), gslope = arena.take<T>(SLOPES * Np);
        pulled = arena.take<T>(GATES * N * most), delta = arena.take<T>(BLOCKS * Np), outer = arena.take<T>(GATES * N);
    }

    void pack(T* const (&p)[FLOSSED], const T* h0, Width<T> of) {
        if (width.k != of.k) {
            width = of;
            std::fill_n(tangents, steps * GATES * N * most, T(0));  // the padding, which no step writes to
        }
        weights.pack(p, Team{});
        std::fill_n(W, GATES * N * Np, T(0)), std::fill_n(W_d, GATES * N * Nd, 0.);
        for (int gate = 0; gate < GATES; ++gate)
            for (int64_t i = 0; i < N; ++i) {
                const T* from = p[0] + (gate * N + i) * N;
                std::copy_n(from, N, W + (i * GATES + gate) * Np), std::copy_n(from, N, W_d + (i * GATES + gate) * Nd);
            }
        std::fill_n(h, Nd, 0.), std::fill_n(own, Nd, 0.);
        std::copy_n(h0, N, h), std::copy_n(h0 + n - N, N, own);
        std::fill_n(kept, steps * KEPT * Np, T(0)), std::fill_n(states, steps * Np, T(0));
    }

    int64_t advance(int64_t s, const T* x, const D* now, D* next) {
        std::copy_n(h, N, states + s * Np);
        const auto finish = [&](int64_t, int64_t v, auto& block) {
            const int64_t at = v * LANES<D>;
            Vec<D> keeps[KEPT], slopes[SLOPES], mine = load(own + at);
            Cell::template gates<D>(block, mine, keeps);
            store(ahead + at, Cell::template output<D>(load(h + at), mine, keeps));
            store(own + at, mine);
            Cell::template slopes<D>(keeps, slopes);
            for (int q = 0; q < KEPT; ++q) store(kept_d + q * Nd + at, keeps[q]);
            for (int q = 0; q < SLOPES; ++q) store(slope_d + q * Nd + at, slopes[q]);
        };
        weights.sums(1, h, Nd, x, finish, [](int64_t, Span) {}, Team{});
        std::swap(h, ahead);
        for (int q = 0; q < KEPT; ++q) std::copy_n(kept_d + q * Nd, N, kept + (s * KEPT + q) * Np);
        const int64_t Kd = width.Kd;
        product_apart<D>(GATES * N, Kd / LANES<D>, {W_d, Nd, 1}, now, Kd, N, [&](int64_t i, int64_t first, auto& acc) {
            const int64_t unit = i / GATES, gate = i % GATES, mine = (n - N + unit) * Kd;
            T* keep = tangents + (s * GATES * N + i) * width.Kp + first * LANES<D>;
            const D *of = slope_d + unit, along = of[gate * Nd];
            int64_t at = first * LANES<D>;
            for (auto& tangent : acc) {
                store_rounded<T>(keep, tangent), keep += LANES<D>;
                if (gate == 0)
                    store(next + mine + at, load(now + mine + at) * of[KEEP * Nd] + tangent * along);
                else if (gate < INTO_OWN)
                    store(next + mine + at, load(next + mine + at) + tangent * along);
                else if constexpr (Cell::OUTPUT)
                    store(next + unit * Kd + at, load(next + mine + at) * of[LEAVE * Nd] + tangent * along);
                at += LANES<D>;
            }
        });
        return n;
    }

    bool finite() const {
        const auto sound = [](D number) { return std::isfinite(number); };
        return std::all_of(h, h + N, sound) && std::all_of(own, own + N, sound);
    }

    void clear() {
        std::fill_n(gW, GATES * N * Np, T(0)), std::fill_n(gV, S * BLOCKS * Np, T(0));
        std::fill_n(gb, BLOCKS * Np, T(0)), std::fill_n(gh, Np, T(0)), std::fill_n(gown, Np, T(0));
        std::fill_n(gslope, SLOPES * Np, T(0)), std::fill_n(Pt, most * Np, T(0));
    }

    void pull(int64_t s, const T* p, const T* x, const T* gp, T* out) {
        const int64_t Kp = width.Kp;
        for (int64_t v = 0; v < Np; v += LANES<T>) {
            Vec<T> keeps[KEPT], slopes[SLOPES];
            for (int q = 0; q < KEPT; ++q) keeps[q] = load(kept + (s * KEPT + q) * Np + v);
            Cell::template slopes<T>(keeps, slopes);
            for (int q = 0; q < SLOPES; ++q) store(slope + q * Np + v, slopes[q]);
        }
        for (int64_t unit = 0; unit < N; ++unit) pull_unit(s, unit, p, gp, out);
        // W̄ += Σ of the gates' adjoints times dh: the only product over columns, hence the transpose
        for (int64_t i = 0; i < N; ++i)
            for (int64_t j = 0; j < width.k; ++j) Pt[j * Np + i] = p[i * Kp + j];
        product<T>(GATES * N, Np / LANES<T>, {pulled, Kp, 1}, Pt, Np, width.k, adding(gW, Np));
        if constexpr (VARIABLES == 2)
            product<T>(N, width.vectors, {W, 1, Np}, pulled, Kp, GATES * N, storing(out, Kp));
        else
            product<T>(N, width.vectors, {W, 1, Np}, pulled, Kp, GATES * N, adding(out, Kp));
        pull_state(s, x);
    }

    void gradient(T* const (&out)[FLOSSED]) const {
        for (int gate = 0; gate < GATES; ++gate)
            for (int64_t i = 0; i < N; ++i) {
                const int64_t to = gate * N + i, driven = Cell::DRIVEN[gate] * Np + i;
                std::copy_n(gW + (i * GATES + gate) * Np, N, out[0] + to * N);
                for (int64_t j = 0; j < S; ++j) out[1][to * S + j] = gV[j * BLOCKS * Np + driven];
                out[2][to] = gb[driven];
            }
        if constexpr (Cell::BIASES == 2) std::copy_n(gb + 2 * Np, N, out[3]);
    }

   private:
    // The tangents of one unit's gates and of its `own`, and the adjoints of its slopes.
    void pull_unit(int64_t s, int64_t unit, const T* p, const T* gp, T* out) {
        const int64_t Kp = width.Kp, mine = (n - N + unit) * Kp;
        const T* const of = slope + unit;
        const T* const gates = tangents + (s * N + unit) * GATES * Kp;
        T* const adjoints = pulled + unit * GATES * Kp;
        Vec<T> sums[SLOPES] = {};
        for (int64_t v = 0; v < Kp; v += LANES<T>) {
            const Vec<T> before = load(p + mine + v);
            Vec<T> total = load(gp + mine + v);
            if constexpr (Cell::OUTPUT) {
                const Vec<T> output = load(gp + unit * Kp + v), gate = load(gates + INTO_OWN * Kp + v);
                Vec<T> down = before * of[KEEP * Np];
                for (int q = 0; q < INTO_OWN; ++q) down += load(gates + q * Kp + v) * of[q * Np];
                sums[INTO_OWN] += output * gate, sums[LEAVE] += output * down;
                store(adjoints + INTO_OWN * Kp + v, output * of[INTO_OWN * Np]);
                total += output * of[LEAVE * Np];
            }
            for (int q = 0; q < INTO_OWN; ++q) {
                sums[q] += total * load(gates + q * Kp + v);
                store(adjoints + q * Kp + v, total * of[q * Np]);
            }
            sums[KEEP] += total * before;
            store(out + mine + v, total * of[KEEP * Np]);
        }
        for (int q = 0; q < SLOPES; ++q) gslope[q * Np + unit] = sum<T>(sums[q]);
    }

    // The trajectory: the adjoints of h and own after the step, and of the slopes, to those before it.
    void pull_state(int64_t s, const T* x) {
        const T* const before = states + s * Np;
        for (int64_t v = 0; v < Np; v += LANES<T>) {
            Vec<T> keeps[KEPT], slopes[SLOPES], further[KEPT], block[BLOCKS];
            for (int q = 0; q < KEPT; ++q) keeps[q] = load(kept + (s * KEPT + q) * Np + v);
            for (int q = 0; q < SLOPES; ++q) slopes[q] = load(gslope + q * Np + v);
            Cell::template pull_slopes<T>(keeps, slopes, further);
            store(gown + v, Cell::template pull<T>(keeps, further, load(gh + v), load(gown + v), block));
            for (int q = 0; q < BLOCKS; ++q) {
                const int64_t at = q * Np + v;
                store(delta + at, block[q]), store(gb + at, load(gb + at) + block[q]);
                for (int64_t j = 0; j < S; ++j) {
                    T* const drive = gV + j * BLOCKS * Np + at;
                    store(drive, load(drive) + block[q] * x[j]);
                }
            }
        }
        for (int64_t i = 0; i < N; ++i)
            for (int gate = 0; gate < GATES; ++gate) {
                const T here = outer[i * GATES + gate] = delta[gate * Np + i];
                T* const row = gW + (i * GATES + gate) * Np;
                for (int64_t v = 0; v < Np; v += LANES<T>) store(row + v, load(row + v) + load(before + v) * here);
            }
        product<T>(1, Np / LANES<T>, {outer, GATES * N, 1}, W, Np, GATES * N, storing(gh, Np));
    }
};

}  // namespace
