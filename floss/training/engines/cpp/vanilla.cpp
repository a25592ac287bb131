// arch=vanilla. The parts are told in entry.h.

#include "activation.h"
#include "flossing.h"
#include "rate_loop.h"
#include "rate_map.h"
#include "training.h"

namespace {
template <class T>
using Training = Trainer<T, RateLoop<T, Tanh>>;
template <class T>
using Flossing = Flosser<T, RateMap<T, Tanh>>;
}  // namespace

#include "entry.h"
