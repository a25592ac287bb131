// arch=lstm. The parts are told in entry.h.

#include "flossing.h"
#include "gated_loop.h"
#include "gated_map.h"
#include "lstm_cell.h"
#include "training.h"

namespace {
template <class T>
using Training = Trainer<T, GatedLoop<T, Lstm>>;
template <class T>
using Flossing = Flosser<T, GatedMap<T, Lstm>>;
}  // namespace

#include "entry.h"
