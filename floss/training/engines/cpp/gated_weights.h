// The weights of a gated cell, and the sums that enter it.
//
// A cell works on each of its N units alone. From one step to the next it carries a number of its own (`own`: c of an
// LSTM, h of a GRU), and at each step it is given the sums of BLOCKS = 4 blocks and returns h'. It does so in two parts,
// `gates` and `output`, since each has long chains of operations, and a processor works on several of them at once only
// where they stand close together: so all units go through the first part before the second.
//
//     block_q = W_q h   where q is one of the GATES gates   + V_g x + b_g   where q = DRIVEN[g]   (+ b_h, of a GRU)
//
// So W has GATES N rows, as have V and b; those of gate g come after those of g - 1. In memory the gates of as many units
// as a vector has numbers lie side by side, and after all of them the blocks that are no gates:
//
//     [vector of units][gate][LANES] … [further block][Np]
#pragma once

#include <algorithm>
#include <cstdint>

#include "product.h"
#include "threads.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <class T, class Cell>
struct GatedWeights {
    static constexpr int GATES = Cell::GATES, BLOCKS = Cell::BLOCKS;
    const int64_t N, S, Np, vectors, gates, row;  // numbers of all gates, and of all blocks, padded
    T *Wt, *Vt, *bias;                            // [vector of units][N][gates of these], [S][row], [row]

    GatedWeights(int64_t N, int64_t S, Arena& arena)
        : N(N), S(S), Np(padded<T>(N)), vectors(Np / LANES<T>), gates(GATES * Np), row(BLOCKS * Np) {
        Wt = arena.take<T>(N * gates), Vt = arena.take<T>(S * row), bias = arena.take<T>(row);
    }

    // Where the numbers of a block lie within a row: those of a vector of units, or of one unit.
    int64_t place(int block, int64_t v) const {
        return block < GATES ? (v * GATES + block) * LANES<T> : block * Np + v * LANES<T>;
    }
    int64_t spot(int block, int64_t unit) const { return place(block, unit / LANES<T>) + unit % LANES<T>; }

    // W, V, b, and b_h where the cell has it; each member of a team has some of the units.
    template <class P>
    void pack(P* const* p, const Team& team) {
        constexpr int64_t L = LANES<T>;
        const Span mine = team.share(vectors);
        for (int64_t v = mine.begin; v < mine.end; ++v) {
            T* const panel = Wt + v * GATES * L * N;
            const int64_t begin = v * L, end = std::min(begin + L, N);
            std::fill_n(panel, GATES * L * N, T(0));
            for (int q = 0; q < BLOCKS; ++q) {
                std::fill_n(bias + place(q, v), L, T(0));
                for (int64_t j = 0; j < S; ++j) std::fill_n(Vt + j * row + place(q, v), L, T(0));
            }
            for (int gate = 0; gate < GATES; ++gate)
                for (int64_t i = begin; i < end; ++i) {
                    const int64_t from = gate * N + i, driven = spot(Cell::DRIVEN[gate], i);
                    T* const to = panel + gate * L + i - begin;
                    for (int64_t j = 0; j < N; ++j) to[j * GATES * L] = p[0][from * N + j];
                    for (int64_t j = 0; j < S; ++j) Vt[j * row + driven] = p[1][from * S + j];
                    bias[driven] = p[2][from];
                }
            if constexpr (Cell::BIASES == 2)
                for (int64_t i = begin; i < end; ++i) bias[spot(2, i)] = p[3][i];
        }
    }

    // The sums of all blocks for states h [rows][Ld] and inputs x [rows][S]: finish(row, vector of units, block), and
    // after(vector of units, rows) when these rows have them.
    template <class In, class Finish, class After>
    void sums(int64_t rows, const T* h, int64_t Ld, const In* x, Finish finish, After after, const Team& team) const {
        const auto each = [&](int64_t i, int64_t first, auto& acc) CALLED {
            const int64_t v = first / GATES;
            Vec<T> block[BLOCKS];
            for (int q = 0; q < BLOCKS; ++q) {
                const int64_t at = place(q, v);
                block[q] = load(bias + at);
                for (int64_t j = 0; j < S; ++j) block[q] += load(Vt + j * row + at) * T(x[i * S + j]);
                if (q < GATES) block[q] += acc[q];
            }
            finish(i, v, block);
        };
        product_groups<T, GATES>(rows, vectors, {h, Ld, 1}, Packed<T>{Wt, N}, each, after, team);
    }
};

}  // namespace
