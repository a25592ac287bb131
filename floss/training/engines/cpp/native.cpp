// The two hot loops of vanilla (tanh) ensembles on CPUs: task training and flossing, whole epochs at a time.
//
// Networks outside, time inside. One thread takes one network through all epochs of a call, so that its weights, its
// rates and its adjoints stay in that core's cache, and so that the bits of a network do not depend on how many networks
// or threads there are.
//
//     vectors.h          SIMD vectors and tanh
//     product.h          the register-blocked kernel that every product goes through
//     workspace.h        padded arrays out of one block of memory
//     threads.h          networks over threads
//     philox.h, adam.h   random numbers, the optimizer
//     calls.h            what Python hands over
//     training.h         task training: forward, loss, backpropagation
//     orthonormaliser.h  QR decompositions
//     flossing.h         exponents and their gradient
//
// All of it is one translation unit, so that the compiler sees every function where it is called. No intrinsics but the
// two that switch off denormal numbers. Rows are padded with zeros to whole vectors; zeros stay zeros, for φ(0) = 0.
// "[l][Np]" in a comment is a row-major array of such rows.

#include <cstdint>

#include "calls.h"
#include "flossing.h"
#include "threads.h"
#include "training.h"
#include "vectors.h"
#include "workspace.h"

namespace {

template <template <class> class Loop, class T, class Call>
int64_t workspace_of(const Call& call) {
    Arena counting{nullptr};
    Loop<T> loop(call, counting);
    return counting.used;
}

template <template <class> class Loop, class T, class Call>
void run(const Call& call) {
    in_threads(call.networks, call.threads, [&](int64_t thread, int64_t network) {
        Arena arena{static_cast<char*>(call.workspace) + thread * call.workspace_bytes};
        Loop<T> loop(call, arena);
        loop.run(network);
    });
}

}  // namespace

extern "C" {
// Bytes of workspace that one thread needs.
std::int64_t floss_train_workspace(const TrainCall* call, std::int64_t single) {
    return single ? workspace_of<Trainer, float>(*call) : workspace_of<Trainer, double>(*call);
}
std::int64_t floss_floss_workspace(const FlossCall* call, std::int64_t single) {
    return single ? workspace_of<Flosser, float>(*call) : workspace_of<Flosser, double>(*call);
}
void floss_train(const TrainCall* call, std::int64_t single) {
    single ? run<Trainer, float>(*call) : run<Trainer, double>(*call);
}
void floss_floss(const FlossCall* call, std::int64_t single) {
    single ? run<Flosser, float>(*call) : run<Flosser, double>(*call);
}
// Where the fields of the calls are, to be compared with their twins.
const Field* floss_train_layout() { return TRAIN_LAYOUT; }
const Field* floss_floss_layout() { return FLOSS_LAYOUT; }
}
