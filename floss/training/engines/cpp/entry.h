// The two hot loops of an architecture on CPUs, task training and flossing, whole epochs at a time, as functions for
// Python. The source that includes this file has named its loops: templates `Training` and `Flossing` of the precision.
// Each architecture is a library of its own, so that none waits for the others to be compiled.
//
// Networks outside, time inside. One thread takes one network through all epochs of a call, so that its weights, its
// rates and its adjoints stay in that core's cache; a team of threads does where a network is large and threads would be
// idle. The bits of a network do not depend on how many networks or threads there are.
//
//     vectors.h                      SIMD vectors, tanh and the logistic function
//     product.h                      the register-blocked kernel that every product goes through
//     panels.h                       matrices laid out as its tiles read them
//     workspace.h, width.h           padded arrays out of one block of memory
//     threads.h                      networks over threads, and threads over a large network
//     philox.h, adam.h               random numbers, the optimizer
//     calls.h                        what Python hands over
//     training.h                     training epochs, over the time loop of an architecture:
//         rate_loop.h                    rate networks, with the transfer functions of activation.h
//         gated_loop.h                   gated cells, lstm_cell.h and gru_cell.h
//         diagonal_loop.h                linear recurrent units
//     flossing_epochs.h              flossing epochs, over what has exponents and their gradient:
//         flossing.h, orthonormaliser.h  a chain of QR decompositions along the one-step map of an architecture,
//         rate_map.h, gated_map.h        as these have it
//         diagonal_exponents.h           eigenvalues, of linear recurrent units
//
// All of it is one translation unit, so that the compiler sees every function where it is called. No intrinsics but the
// two that switch off denormal numbers. Rows are padded with zeros to whole vectors; zeros stay zeros, in every cell.
// "[l][Np]" in a comment is a row-major array of such rows.
#pragma once

#include <cstdint>

#include "calls.h"
#include "threads.h"
#include "workspace.h"

namespace {

template <template <class> class Loop, class T, class Call>
int64_t workspace_of(const Call& call) {
    Arena counting{nullptr};
    Loop<T> loop(call, counting, Team{0, call.team});
    return counting.used;
}

template <template <class> class Loop, class T, class Call>
void run(const Call& call) {
    in_large_pages(call.workspace, call.teams * call.workspace_bytes);
    in_teams(call.networks, call.teams, call.team, [&](int64_t number, const Team& team, int64_t network) {
        Arena arena{static_cast<char*>(call.workspace) + number * call.workspace_bytes};
        Loop<T> loop(call, arena, team);
        loop.run(network);
    });
}

}  // namespace

extern "C" {
// Bytes of workspace that one team needs.
std::int64_t floss_train_workspace(const TrainCall* call, std::int64_t single) {
    return single ? workspace_of<Training, float>(*call) : workspace_of<Training, double>(*call);
}
std::int64_t floss_floss_workspace(const FlossCall* call, std::int64_t single) {
    return single ? workspace_of<Flossing, float>(*call) : workspace_of<Flossing, double>(*call);
}
// Of so many threads, how many are to share a network.
std::int64_t floss_train_team(const TrainCall* call, std::int64_t threads) {
    return team_size(call->networks, threads, Training<float>::threads(*call));
}
std::int64_t floss_floss_team(const FlossCall* call, std::int64_t threads) {
    return team_size(call->networks, threads, Flossing<float>::threads(*call));
}
void floss_train(const TrainCall* call, std::int64_t single) {
    single ? run<Training, float>(*call) : run<Training, double>(*call);
}
void floss_floss(const FlossCall* call, std::int64_t single) {
    single ? run<Flossing, float>(*call) : run<Flossing, double>(*call);
}
// Where the fields of the calls are, to be compared with their twins.
const Field* floss_train_layout() { return TRAIN_LAYOUT; }
const Field* floss_floss_layout() { return FLOSS_LAYOUT; }
}
