// A matrix b of products, laid out block by block as its tiles read it (Packed in product.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "product.h"
#include "threads.h"
#include "vectors.h"

namespace {

// b(l, c) = from[l * row + c * step] for `rows` rows and `columns` columns, with zeros up to whole vectors, into
// rows * vectors * LANES numbers at `to`. Each member of a team writes a part of it.
template <class T, class From>
void pack_panels(const From* from, ptrdiff_t row, ptrdiff_t step, int64_t rows, int64_t columns, int64_t vectors, T* to,
                 const Team& team) {
    constexpr int64_t STRETCH = 16;  // rows at a time, so that either order of reading finds its cache lines again
    const Blocks blocks(vectors, WIDEST);
    const int64_t stretches = (rows + STRETCH - 1) / STRETCH;
    const Span mine = team.share(blocks.count * stretches);
    for (int64_t each = mine.begin; each < mine.end; ++each) {
        const int64_t block = each / stretches, begin = each % stretches * STRETCH;
        const int64_t end = std::min(begin + STRETCH, rows), width = blocks.width(block) * LANES<T>;
        const int64_t first = blocks.first(block) * LANES<T>, there = std::clamp<int64_t>(columns - first, 0, width);
        T* const panel = to + first * rows;
        for (int64_t c = 0; c < there; ++c)
            for (int64_t l = begin; l < end; ++l) panel[l * width + c] = T(from[l * row + (first + c) * step]);
        for (int64_t l = begin; l < end; ++l) std::fill(panel + l * width + there, panel + (l + 1) * width, T(0));
    }
}

// Rows of what is laid out so, as they are without panels: the `columns` numbers of each.
template <class T>
void unpack_rows(const T* from, int64_t rows, int64_t columns, int64_t vectors, Span of, T* to) {
    const Blocks blocks(vectors, WIDEST);
    for (int64_t block = 0; block < blocks.count; ++block) {
        const int64_t first = blocks.first(block) * LANES<T>, width = blocks.width(block) * LANES<T>;
        const T* const panel = from + first * rows;
        for (int64_t i = of.begin; i < of.end; ++i)
            std::copy_n(panel + i * width, std::clamp<int64_t>(columns - first, 0, width), to + i * columns + first);
    }
}

}  // namespace
