// The kernel that every product goes through, register-blocked: a tile of R rows by V vectors of the result lives in
// registers while it runs over the inner index l,
//
//     C[i][:] = Σ_l a(i, l) b[l][:]
//
// with `a` read number by number, through any two strides (so a transposed matrix costs nothing), and `b` vector by vector.
// What is done with a finished tile (tanh, φ', masks, storing) is the caller's, and happens while it is in registers.
// A number of the result is one sum in the order of l, whatever the tiles are: tiles change no bits, nor does it matter
// which thread of a team (threads.h) has which tiles. A finish with a b + c d has to be CALLED (vectors.h), for the compiler
// fuses one of the two products with the sum, and which one would else depend on the tile around it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "threads.h"
#include "vectors.h"

#ifndef FLOSS_ACCUMULATORS  // vector registers that a tile may fill: all but those for b and for one number of a
#define FLOSS_ACCUMULATORS 12
#endif

namespace {

using std::int64_t;
using std::ptrdiff_t;

template <class T>
struct Strided {  // a(i, l) = at[i * row + l * step]
    const T* at;
    ptrdiff_t row, step;
};

template <class T, int R, int V, class Finish>
ALWAYS void tile(const T* a, ptrdiff_t row, ptrdiff_t step, const T* b, ptrdiff_t ldb, Span inner, Finish&& finish) {
    Vec<T> acc[R][V];  // `= {}` would write zeros to memory, as long as ten steps of l take
    for (auto& row : acc)
        for (auto& x : row) x = Vec<T>{};
    a += inner.begin * step;
    b += inner.begin * ldb;
    for (int64_t l = inner.begin; l < inner.end; ++l) {
        Vec<T> right[V];
        for (int v = 0; v < V; ++v) right[v] = load(b + v * LANES<T>);
        for (int r = 0; r < R; ++r) {
            const T left = a[r * row];
            for (int v = 0; v < V; ++v) acc[r][v] += right[v] * left;
        }
        a += step;
        b += ldb;
    }
    for (int r = 0; r < R; ++r) finish(r, acc[r]);
}

constexpr int rows_of_tile(int vectors) {
    constexpr int most = FLOSS_ACCUMULATORS;
    return vectors == 1 ? (most >= 16 ? 16 : 8) : most / vectors >= 8 ? 8 : most / vectors >= 4 ? 4 : most / vectors >= 2 ? 2 : 1;
}

// The vectors of a result, cut into blocks as wide as tiles, at most `most` vectors: as few as there can be, of about
// equal width.
struct Blocks {
    int64_t count, narrow, wider;  // width of the last ones, and how many, the first ones, are wider by one vector
    Blocks(int64_t vectors, int64_t most)
        : count((vectors + most - 1) / most), narrow(vectors / count), wider(vectors - narrow * count) {}
    Blocks(int64_t count, int64_t narrow, int64_t wider) : count(count), narrow(narrow), wider(wider) {}
    // Of exactly this width.
    static Blocks of_width(int64_t count, int64_t width) { return {count, width, 0}; }
    int64_t first(int64_t block) const { return block * narrow + std::min(block, wider); }
    int64_t width(int64_t block) const { return narrow + (block < wider); }
    int64_t of(int64_t vector) const {  // the block that has it
        const int64_t after = vector - wider * (narrow + 1);
        return after < 0 ? vector / (narrow + 1) : wider + after / narrow;
    }
};

// The matrix b: rows that lie `ld` numbers apart, in memory as they are ...
template <class T>
struct Rows {
    const T* at;
    ptrdiff_t ld;
    const T* panel(int64_t first, int) const { return at + first * LANES<T>; }
    ptrdiff_t step(int) const { return ld; }
};
// ... or block by block, so that what a tile reads lies without gaps. Rows that are far apart, by a power of two all the
// more, take turns in few places of a cache (panels.h).
template <class T>
struct Packed {
    const T* at;
    int64_t rows;
    const T* panel(int64_t first, int) const { return at + first * LANES<T> * rows; }
    ptrdiff_t step(int width) const { return width * LANES<T>; }
};

template <class T, int V, class Inner, class Finish>
void product_columns(Span rows, int64_t first, Strided<T> a, const T* b, ptrdiff_t ldb, Inner& inner, Finish& finish) {
    const auto run = [&](auto size, int64_t i) {
        constexpr int R = decltype(size)::value;
        const Span span = inner(i, R, first, V);
        if (span.begin < span.end)
            tile<T, R, V>(a.at + i * a.row, a.row, a.step, b, ldb, span,
                          [&](int r, Vec<T>(&acc)[V]) { finish(i + r, first, acc); });
    };
    constexpr int R = rows_of_tile(V);
    int64_t i = rows.begin;
    for (; i + R <= rows.end; i += R) run(std::integral_constant<int, R>{}, i);
    if constexpr (R > 4)
        for (; i + 4 <= rows.end; i += 4) run(std::integral_constant<int, 4>{}, i);
    for (; i < rows.end; ++i) run(std::integral_constant<int, 1>{}, i);
}

// The rows of a block of columns that a member of a team has. Its share of the whole is a stretch of whole tiles, block
// after block, so that members have about the same to do although there are few blocks.
ALWAYS Span rows_of(const Team& team, int64_t rows, const Blocks& blocks, int64_t block) {
    if (team.size == 1) return {0, rows};
    const int64_t width = blocks.width(block), before = blocks.first(block) * rows, all = blocks.first(blocks.count) * rows;
    const int64_t tile = rows_of_tile(int(width));
    const auto row = [&](int64_t member) {
        const int64_t inside = std::max<int64_t>(all * member / team.size - before, 0) / width;
        return inside < rows ? std::min(rows, (inside + tile / 2) / tile * tile) : rows;
    };
    return {row(team.rank), row(team.rank + 1)};
}

// C[i][:] = Σ_l a(i, l) b[l][:] for `rows` rows and `vectors` vectors, tile by tile: finish(i, first vector, acc[V]).
// Each tile runs over the l that `inner(row, rows, vector, vectors)` names; an empty span skips it, finish and all.
template <class T, int MOST, class B, class Inner, class Finish>
ALWAYS void product_blocks(int64_t rows, int64_t vectors, Strided<T> a, B b, Inner inner, Finish finish,
                           const Team& team = {}) {
    const Blocks blocks(vectors, MOST);
    for (int64_t block = 0; block < blocks.count; ++block) {
        const int64_t first = blocks.first(block);
        const Span mine = rows_of(team, rows, blocks, block);
        if (mine.begin >= mine.end) continue;
        const auto columns = [&](auto width) {
            constexpr int V = decltype(width)::value;
            product_columns<T, V>(mine, first, a, b.panel(first, V), b.step(V), inner, finish);
        };
        const int64_t width = blocks.width(block);
        if (width == 1) columns(std::integral_constant<int, 1>{});
        if constexpr (MOST >= 2)
            if (width == 2) columns(std::integral_constant<int, 2>{});
        if constexpr (MOST >= 3)
            if (width == 3) columns(std::integral_constant<int, 3>{});
        if constexpr (MOST >= 4)
            if (width == 4) columns(std::integral_constant<int, 4>{});
        if constexpr (MOST >= 5)
            if (width == 5) columns(std::integral_constant<int, 5>{});
    }
}

constexpr int WIDEST = FLOSS_ACCUMULATORS >= 20 ? 5 : 3;
template <class T>
constexpr int PANEL = LANES<T> > 16 ? LANES<T> : 16;  // columns of a Gram-Schmidt panel
template <class T>
constexpr int NARROW = std::min(PANEL<T> / LANES<T>, WIDEST);  // width of tiles along a triangle

template <class T, class B, class Finish>
ALWAYS void product_of(int64_t rows, int64_t vectors, Strided<T> a, B b, int64_t count, Finish finish,
                       const Team& team) {
    product_blocks<T, WIDEST>(
        rows, vectors, a, b, [count](int64_t, int, int64_t, int) { return Span{0, count}; }, finish, team);
}
template <class T, class Finish>
ALWAYS void product(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                    Finish finish, const Team& team = {}) {
    product_of<T>(rows, vectors, a, Rows<T>{b, ldb}, count, finish, team);
}
template <class T, class Finish>
ALWAYS void product(int64_t rows, int64_t vectors, Strided<T> a, Packed<T> b, Finish finish, const Team& team = {}) {
    product_of<T>(rows, vectors, a, b, b.rows, finish, team);
}

// The same in tiles of exactly V vectors, for finishes that need these together; after(group, rows) once a group of them
// is done.
template <class T, int V, class Finish, class After>
ALWAYS void product_groups(int64_t rows, int64_t groups, Strided<T> a, Packed<T> b, Finish finish, After after,
                           const Team& team) {
    const auto inner = [&b](int64_t, int, int64_t, int) { return Span{0, b.rows}; };
    const Blocks blocks = Blocks::of_width(groups, V);
    for (int64_t group = 0; group < groups; ++group) {
        const Span mine = rows_of(team, rows, blocks, group);
        if (mine.begin >= mine.end) continue;
        product_columns<T, V>(mine, group * V, a, b.panel(group * V, V), b.step(V), inner, finish);
        after(group, mine);
    }
}

// out = Wᵀ b for W in panels, of which the columns become rows: finish(column, first vector, acc[V]).
template <class T, class Finish>
ALWAYS void product_transposed(int64_t columns, int64_t padded, Packed<T> W, int64_t vectors, const T* b, ptrdiff_t ldb,
                               Finish finish, const Team& team) {
    const Blocks panels(padded / LANES<T>, WIDEST);
    for (int64_t panel = 0; panel < panels.count; ++panel) {
        const int64_t begin = panels.first(panel) * LANES<T>, width = panels.width(panel) * LANES<T>;
        product<T>(std::min(width, columns - begin), vectors, {W.at + begin * W.rows, 1, width}, b, ldb, W.rows,
                   [&](int64_t row, int64_t first, auto& acc) { finish(begin + row, first, acc); }, team);
    }
}

// The same where b is upper (l ≤ column) or lower triangular (l ≥ column).
template <class T, class Finish>
ALWAYS void product_upper(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                          Finish finish, const Team& team = {}) {
    const auto inner = [count](int64_t, int, int64_t first, int width) {
        return Span{0, std::min<int64_t>(count, (first + width) * LANES<T>)};
    };
    product_blocks<T, NARROW<T>>(rows, vectors, a, Rows<T>{b, ldb}, inner, finish, team);
}
template <class T, class Finish>
ALWAYS void product_lower(int64_t rows, int64_t vectors, Strided<T> a, const T* b, ptrdiff_t ldb, int64_t count,
                          Finish finish, const Team& team = {}) {
    const auto inner = [count](int64_t, int, int64_t first, int) { return Span{first * LANES<T>, count}; };
    product_blocks<T, NARROW<T>>(rows, vectors, a, Rows<T>{b, ldb}, inner, finish, team);
}

// Finishes: what becomes of a tile.
template <class T>
ALWAYS auto storing(T* out, ptrdiff_t ld) {
    return [out, ld](int64_t i, int64_t first, auto& acc) {
        T* at = out + i * ld + first * LANES<T>;
        for (auto& x : acc) store(at, x), at += LANES<T>;
    };
}
template <class T, int SIGN = 1>
ALWAYS auto adding(T* out, ptrdiff_t ld) {
    return [out, ld](int64_t i, int64_t first, auto& acc) {
        T* at = out + i * ld + first * LANES<T>;
        for (auto& x : acc) store(at, SIGN > 0 ? load(at) + x : load(at) - x), at += LANES<T>;
    };
}
// Into what is laid out as Packed has it, with so many rows. It is large and read once for every tile, hence asked for one
// tile ahead.
template <class T>
ALWAYS auto adding_packed(T* out, int64_t rows) {
    return [out, rows](int64_t i, int64_t first, auto& acc) {
        constexpr int64_t V = sizeof acc / sizeof acc[0], width = V * LANES<T>;
        T* at = out + first * LANES<T> * rows + i * width;
        for (auto& x : acc) {
            __builtin_prefetch(at + rows_of_tile(V) * width, 1);
            store(at, load(at) + x), at += LANES<T>;
        }
    };
}

}  // namespace
