// A matrix b of products, laid out block by block as its tiles read it (Packed in product.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "product.h"
#include "threads.h"
#include "vectors.h"

namespace {

// b(l, c) = row(l)[c * step] for `rows` rows and `columns` columns, with zeros up to whole vectors and, where step is 1,
// for rows that are nullptr, into rows * vectors * LANES numbers at `to`. Each member of a team writes a part of it.
template <class T, class Row>
void pack_panels(Row row, ptrdiff_t step, int64_t rows, int64_t columns, int64_t vectors, T* to, const Team& team) {
    constexpr int64_t STRETCH = 16;  // rows at a time, so that either order of reading finds its cache lines again
    const Blocks blocks(vectors, WIDEST);
    const int64_t stretches = (rows + STRETCH - 1) / STRETCH;
    const Span mine = team.share(blocks.count * stretches);
    for (int64_t each = mine.begin; each < mine.end; ++each) {
        const int64_t block = each / stretches, begin = each % stretches * STRETCH;
        const int64_t end = std::min(begin + STRETCH, rows), width = blocks.width(block) * LANES<T>;
        const int64_t first = blocks.first(block) * LANES<T>, there = std::clamp<int64_t>(columns - first, 0, width);
        T* const panel = to + first * rows;
        for (int64_t l = begin; l < end; ++l) {
            const auto* const from = row(l);
            if (from && step == 1) std::copy_n(from + first, there, panel + l * width);
            std::fill(panel + l * width + (from ? there : 0), panel + (l + 1) * width, T(0));
        }
        for (int64_t c = 0; c < there && step != 1; ++c)
            for (int64_t l = begin; l < end; ++l) panel[l * width + c] = T(row(l)[(first + c) * step]);
    }
}

// Row l of what is laid out so, as it is without panels: its `columns` numbers.
template <class T>
void unpack_row(const T* from, int64_t rows, int64_t l, const Blocks& blocks, int64_t columns, T* to) {
    for (int64_t block = 0; block < blocks.count; ++block) {
        const int64_t first = blocks.first(block) * LANES<T>, width = blocks.width(block) * LANES<T>;
        std::copy_n(from + first * rows + l * width, std::clamp<int64_t>(columns - first, 0, width), to + first);
    }
}

}  // namespace
