// arch=gru. The parts are told in entry.h.

#include "flossing.h"
#include "gated_loop.h"
#include "gated_map.h"
#include "gru_cell.h"
#include "training.h"

namespace {
template <class T>
using Training = Trainer<T, GatedLoop<T, Gru>>;
template <class T>
using Flossing = Flosser<T, GatedMap<T, Gru>>;
}  // namespace

#include "entry.h"
