// The time loop of a linear recurrent unit, forward and backward (floss/networks/lru.py):
//
//     s' = Λ s + γ ∘ (B x),     f = tanh(Re(C s) + D x + b),     y = U·f + c
//
// The recurrence is elementwise, so products are those with C alone, of many steps at once.
//
// Layout, rows padded to Np numbers for N units; a state is the row (Re s, Im s):
//
//     states  [T + 1][B][2 Np]   the initial ones first
//     seen    [T][B][Np]         f
//     delta   [C B][Np]          ∂loss/∂(argument of tanh) of the last few steps (C steps fit the cache)
//     direct  [C B][2 Np]        what these bring to ∂loss/∂s
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "calls.h"
#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T>
struct DiagonalLoop {
    // nu, theta, gamma [N], B [2, N, S], C [2, N, N], D [N, S], b, U [N], c [], h0 [B, 2 N]
    static constexpr int TENSORS = 10;
    static constexpr int64_t L = LANES<T>;
    const int64_t N, S, B, steps, Np, vectors, chunk;
    const int64_t sizes[TENSORS];
    T *states, *seen, *delta, *direct, *carry;
    T *lam, *glam, *drive, *gdrive;              // [2 Np] Re and Im of Λ; [S][2 Np] of γ ∘ B
    T *Ct, *C, *gC, *Dt, *gD, *b, *gb, *U, *gU;  // Ct [2 Np][Np] and C [N][2 Np]: (Re C, -Im C)
    double *decay, *angle, *scale;               // exp(ν), exp(θ), γ
    T c;

    static int64_t threads(const TrainCall&) { return 1; }

    DiagonalLoop(const TrainCall& call, Arena& arena, const Team&)
        : N(call.n),
          S(call.inputs),
          B(call.batch),
          steps(call.steps),
          Np(padded<T>(N)),
          vectors(Np / L),
          chunk(std::max<int64_t>(1, std::min<int64_t>(steps, 128 / B))),
          sizes{N, N, N, 2 * N * S, 2 * N * N, N * S, N, N, 1, B * 2 * N} {
        states = arena.take<T>((steps + 1) * B * 2 * Np), seen = arena.take<T>(steps * B * Np);
        delta = arena.take<T>(chunk * B * Np), direct = arena.take<T>(chunk * B * 2 * Np);
        carry = arena.take<T>(B * 2 * Np), lam = arena.take<T>(2 * Np), glam = arena.take<T>(2 * Np);
        drive = arena.take<T>(S * 2 * Np), gdrive = arena.take<T>(S * 2 * Np);
        Ct = arena.take<T>(2 * Np * Np), C = arena.take<T>(N * 2 * Np), gC = arena.take<T>(N * 2 * Np);
        Dt = arena.take<T>(S * Np), gD = arena.take<T>(S * Np), b = arena.take<T>(Np), gb = arena.take<T>(Np);
        U = arena.take<T>(Np), gU = arena.take<T>(Np);
        decay = arena.take<double>(N), angle = arena.take<double>(N), scale = arena.take<double>(N);
    }

    // Memory that is free between forward and backward.
    Room<T> spare() const { return {direct, chunk * B * 2 * Np}; }

    void pack(T* const (&p)[TENSORS]) {
        std::fill_n(lam, 2 * Np, T(0)), std::fill_n(drive, S * 2 * Np, T(0)), std::fill_n(Ct, 2 * Np * Np, T(0));
        std::fill_n(C, N * 2 * Np, T(0)), std::fill_n(Dt, S * Np, T(0)), std::fill_n(b, Np, T(0));
        std::fill_n(U, Np, T(0)), std::fill_n(states, B * 2 * Np, T(0));
        for (int64_t i = 0; i < N; ++i) {
            decay[i] = std::exp(double(p[0][i])), angle[i] = std::exp(double(p[1][i]));
            scale[i] = std::exp(double(p[2][i]));
            const double modulus = std::exp(-decay[i]);
            lam[i] = T(modulus * std::cos(angle[i])), lam[Np + i] = T(modulus * std::sin(angle[i]));
            for (int64_t part = 0; part < 2; ++part) {
                const T* from = p[3] + (part * N + i) * S;
                for (int64_t j = 0; j < S; ++j) drive[j * 2 * Np + part * Np + i] = T(scale[i] * double(from[j]));
                for (int64_t j = 0; j < N; ++j) {
                    const T entry = p[4][(part * N + i) * N + j];
                    C[i * 2 * Np + part * Np + j] = Ct[(part * Np + j) * Np + i] = part ? -entry : entry;
                }
            }
            for (int64_t j = 0; j < S; ++j) Dt[j * Np + i] = p[5][i * S + j];
            b[i] = p[6][i], U[i] = p[7][i];
        }
        c = *p[8];
        for (int64_t slot = 0; slot < B; ++slot)
            for (int64_t part = 0; part < 2; ++part)
                std::copy_n(p[9] + (slot * 2 + part) * N, N, states + (slot * 2 + part) * Np);
    }

    void forward(const T* x, T* y) const {
        for (int64_t start = 0; start < steps; start += chunk) {
            const int64_t end = std::min(start + chunk, steps), rows = (end - start) * B;
            for (int64_t row = start * B; row < end * B; ++row) step(row, x + row * S);
            const T* inputs = x + start * B * S;
            T* const out = seen + start * B * Np;
            product<T>(rows, vectors, {states + (start + 1) * B * 2 * Np, 2 * Np, 1}, Ct, Np, 2 * Np,
                       [&](int64_t row, int64_t first, auto& acc) {
                           int64_t at = first * L;
                           for (auto& sum : acc) {
                               sum += load(b + at);
                               for (int64_t j = 0; j < S; ++j) sum += load(Dt + j * Np + at) * inputs[row * S + j];
                               store(out + row * Np + at, tanh_of<T>(sum));
                               at += L;
                           }
                       });
            for (int64_t row = 0; row < rows; ++row) {
                Vec<T> total = {};
                for (int64_t v = 0; v < Np; v += L) total += load(out + row * Np + v) * load(U + v);
                y[start * B + row] = sum<T>(total) + c;
            }
        }
    }

    void backward(const T* x, const T* gy, T* const (&gradient)[TENSORS]) const {
        std::fill_n(gC, N * 2 * Np, T(0)), std::fill_n(gD, S * Np, T(0)), std::fill_n(gb, Np, T(0));
        std::fill_n(gU, Np, T(0)), std::fill_n(glam, 2 * Np, T(0)), std::fill_n(gdrive, S * 2 * Np, T(0));
        std::fill_n(carry, B * 2 * Np, T(0));
        for (int64_t end = steps; end > 0; end -= chunk) {
            const int64_t start = std::max<int64_t>(end - chunk, 0), rows = (end - start) * B;
            pull_readout(start * B, rows, x, gy);
            product<T>(N, 2 * vectors, {delta, 1, Np}, states + (start + 1) * B * 2 * Np, 2 * Np, rows,
                       adding(gC, 2 * Np));
            product<T>(rows, 2 * vectors, {delta, Np, 1}, C, 2 * Np, N, storing(direct, 2 * Np));
            for (int64_t s = end - 1; s >= start; --s) pull_step(s, direct + (s - start) * B * 2 * Np, x + s * B * S);
        }
        unpack(gradient);
        T& readout_bias = gradient[8][0] = 0;
        for (int64_t i = 0; i < steps * B; ++i) readout_bias += gy[i];
    }

   private:
    // s' of one batch slot from the state `row`.
    void step(int64_t row, const T* x) const {
        const T* before = states + row * 2 * Np;
        T* const after = states + (row + B) * 2 * Np;
        for (int64_t v = 0; v < Np; v += L) {
            const Vec<T> re = load(before + v), im = load(before + Np + v), cosine = load(lam + v);
            const Vec<T> sine = load(lam + Np + v);
            Vec<T> next_re = cosine * re - sine * im, next_im = sine * re + cosine * im;
            for (int64_t j = 0; j < S; ++j) {
                next_re += load(drive + j * 2 * Np + v) * x[j];
                next_im += load(drive + j * 2 * Np + Np + v) * x[j];
            }
            store(after + v, next_re), store(after + Np + v, next_im);
        }
    }

    // δ = ȳ U ∘ (1 - f²) of some rows, and what is summed with it.
    void pull_readout(int64_t first, int64_t rows, const T* x, const T* gy) const {
        for (int64_t v = 0; v < Np; v += L) {
            Vec<T> of_b = load(gb + v), of_U = load(gU + v);
            const Vec<T> readout = load(U + v);
            for (int64_t row = 0; row < rows; ++row) {
                const Vec<T> f = load(seen + (first + row) * Np + v);
                const T error = gy[first + row];
                const Vec<T> here = readout * error * (T(1) - f * f);
                of_b += here, of_U += f * error;
                store(delta + row * Np + v, here);
            }
            store(gb + v, of_b), store(gU + v, of_U);
            for (int64_t j = 0; j < S; ++j) {
                Vec<T> of_D = load(gD + j * Np + v);
                for (int64_t row = 0; row < rows; ++row)
                    of_D += load(delta + row * Np + v) * x[(first + row) * S + j];
                store(gD + j * Np + v, of_D);
            }
        }
    }

    // ∂loss/∂s[s+1], which meets s[s] and x, and through Λ to s[s], in `carry`.
    void pull_step(int64_t s, T* here, const T* x) const {
        const T* before = states + s * B * 2 * Np;
        for (int64_t v = 0; v < Np; v += L) {
            const Vec<T> cosine = load(lam + v), sine = load(lam + Np + v);
            Vec<T> of_cosine = load(glam + v), of_sine = load(glam + Np + v);
            for (int64_t slot = 0; slot < B; ++slot) {
                const int64_t at = slot * 2 * Np + v;
                const Vec<T> re = load(here + at) + load(carry + at), im = load(here + at + Np) + load(carry + at + Np);
                const Vec<T> old_re = load(before + at), old_im = load(before + at + Np);
                of_cosine += re * old_re + im * old_im, of_sine += im * old_re - re * old_im;
                store(carry + at, cosine * re + sine * im), store(carry + at + Np, cosine * im - sine * re);
                store(here + at, re), store(here + at + Np, im);
            }
            store(glam + v, of_cosine), store(glam + Np + v, of_sine);
        }
        for (int64_t j = 0; j < S; ++j)
            for (int64_t v = 0; v < 2 * Np; v += L) {
                Vec<T> of_drive = load(gdrive + j * 2 * Np + v);
                for (int64_t slot = 0; slot < B; ++slot)
                    of_drive += load(here + slot * 2 * Np + v) * x[slot * S + j];
                store(gdrive + j * 2 * Np + v, of_drive);
            }
    }

    void unpack(T* const (&gradient)[TENSORS]) const {
        for (int64_t i = 0; i < N; ++i) {
            // λ = exp(-exp(ν) + i exp(θ)), so ∂λ/∂ν = -exp(ν) λ and ∂λ/∂θ = i exp(θ) λ
            const double re = lam[i], im = lam[Np + i], of_re = glam[i], of_im = glam[Np + i];
            gradient[0][i] = T(-decay[i] * (of_re * re + of_im * im));
            gradient[1][i] = T(angle[i] * (of_im * re - of_re * im));
            double of_scale = 0;
            for (int64_t part = 0; part < 2; ++part)
                for (int64_t j = 0; j < S; ++j) {
                    const int64_t at = j * 2 * Np + part * Np + i;
                    of_scale += double(gdrive[at]) * double(drive[at]);
                    gradient[3][(part * N + i) * S + j] = T(scale[i] * double(gdrive[at]));
                }
            gradient[2][i] = T(of_scale);
            for (int64_t part = 0; part < 2; ++part)
                for (int64_t j = 0; j < N; ++j) {
                    const T entry = gC[i * 2 * Np + part * Np + j];
                    gradient[4][(part * N + i) * N + j] = part ? -entry : entry;
                }
            for (int64_t j = 0; j < S; ++j) gradient[5][i * S + j] = gD[j * Np + i];
        }
        std::copy_n(gb, N, gradient[6]), std::copy_n(gU, N, gradient[7]);
        for (int64_t slot = 0; slot < B; ++slot)
            for (int64_t part = 0; part < 2; ++part)
                std::copy_n(carry + (slot * 2 + part) * Np, N, gradient[9] + (slot * 2 + part) * N);
    }
};

}  // namespace
