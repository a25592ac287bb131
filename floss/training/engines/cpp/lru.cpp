// arch=lru. The parts are told in entry.h.

#include "diagonal_exponents.h"
#include "diagonal_loop.h"
#include "training.h"

namespace {
template <class T>
using Training = Trainer<T, DiagonalLoop<T>>;
template <class T>
using Flossing = DiagonalFlosser<T>;
}  // namespace

#include "entry.h"
