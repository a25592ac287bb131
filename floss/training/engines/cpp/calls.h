// What Python hands over: one struct for each loop. Arrays have the leading axis R.
//
// The twins of these structs are in floss/training/engines/calls.py. So that the two cannot part unseen, TRAIN_LAYOUT
// and FLOSS_LAYOUT say where the compiler has put each field, and Python compares them with its own when it loads the
// library.
#pragma once

#include <cstddef>
#include <cstdint>

namespace {

using std::int64_t;

enum Task : int64_t { XOR = 0, COPY = 1, SPATIAL_XOR = 2 };
enum Mode : int64_t { GRADIENT = 0, TRAIN = 1, EVALUATE = 2 };
constexpr int TENSORS = 10;         // parameters of a network at most; each architecture has its own
constexpr int FLOSSED_TENSORS = 4;  // and of these, flossed ones

}  // namespace

// `teams` of `team` threads each, one of which has a network at a time.
struct TrainCall {
    int64_t networks, n, inputs, batch, steps, teams, team, mode, task, uniform, binary, hold, stream;
    int64_t first_epoch, epochs;
    double lr, clip;
    void* parameters[TENSORS];
    void* mean[TENSORS];
    void* square[TENSORS];
    void* gradient[TENSORS];
    int64_t* adam_steps;    // [R]
    const int64_t* seeds;   // [R]
    const int64_t* delays;  // [R]
    const int64_t* first;   // [R], step from which on the loss counts, at least the delay
    int64_t* diverged_at;   // [R], -1 while finite
    const void* x;          // [R, T, B, S] for GRADIENT
    double* loss;           // [R], of the last epoch
    double* accuracy;       // [R]
    void* workspace;
    int64_t workspace_bytes;  // of each team
};

struct FlossCall {
    int64_t networks, n, inputs, batch, steps, columns, teams, team, mode, uniform, hold, stream, epochs;
    double lr;
    void* parameters[TENSORS];
    void* mean[FLOSSED_TENSORS];
    void* square[FLOSSED_TENSORS];
    void* gradient[FLOSSED_TENSORS];
    int64_t* adam_steps;   // [all], as are parameters, mean and square; what follows belongs to the networks `index`
    const int64_t* index;  // [R] rows of the ensemble
    const int64_t* seeds;  // [R]
    const int64_t* first_life;    // [R] first epoch of this call in each network's life
    const int64_t* k;             // [R]
    const double* target;         // [R]
    std::int8_t* diverged;        // [R] set to 1 where a network stops being finite; such networks are passed over
    const std::int8_t* interval;  // [T_f]: 0 within an interval, 1 at the end of one, 2 at the end of one that counts
    const void* q0;               // [R, n, columns]
    const void* x;                // [R, T_f, S] for GRADIENT
    double* loss;                 // [R]
    double* exponents;            // [R, columns], unsorted; beyond k untouched
    void* workspace;
    int64_t workspace_bytes;
};

namespace {

// A field of a call, or the call as a whole; a row without a name ends a table.
struct Field {
    const char* name;
    int64_t offset, size;
};

#define FIELD(call, name) {#call "." #name, offsetof(call, name), sizeof(call::name)}

constexpr Field TRAIN_LAYOUT[] = {
    FIELD(TrainCall, networks),
    FIELD(TrainCall, n),
    FIELD(TrainCall, inputs),
    FIELD(TrainCall, batch),
    FIELD(TrainCall, steps),
    FIELD(TrainCall, teams),
    FIELD(TrainCall, team),
    FIELD(TrainCall, mode),
    FIELD(TrainCall, task),
    FIELD(TrainCall, uniform),
    FIELD(TrainCall, binary),
    FIELD(TrainCall, hold),
    FIELD(TrainCall, stream),
    FIELD(TrainCall, first_epoch),
    FIELD(TrainCall, epochs),
    FIELD(TrainCall, lr),
    FIELD(TrainCall, clip),
    FIELD(TrainCall, parameters),
    FIELD(TrainCall, mean),
    FIELD(TrainCall, square),
    FIELD(TrainCall, gradient),
    FIELD(TrainCall, adam_steps),
    FIELD(TrainCall, seeds),
    FIELD(TrainCall, delays),
    FIELD(TrainCall, first),
    FIELD(TrainCall, diverged_at),
    FIELD(TrainCall, x),
    FIELD(TrainCall, loss),
    FIELD(TrainCall, accuracy),
    FIELD(TrainCall, workspace),
    FIELD(TrainCall, workspace_bytes),
    {"TrainCall", 0, sizeof(TrainCall)},
    {nullptr, 0, 0},
};

constexpr Field FLOSS_LAYOUT[] = {
    FIELD(FlossCall, networks),
    FIELD(FlossCall, n),
    FIELD(FlossCall, inputs),
    FIELD(FlossCall, batch),
    FIELD(FlossCall, steps),
    FIELD(FlossCall, columns),
    FIELD(FlossCall, teams),
    FIELD(FlossCall, team),
    FIELD(FlossCall, mode),
    FIELD(FlossCall, uniform),
    FIELD(FlossCall, hold),
    FIELD(FlossCall, stream),
    FIELD(FlossCall, epochs),
    FIELD(FlossCall, lr),
    FIELD(FlossCall, parameters),
    FIELD(FlossCall, mean),
    FIELD(FlossCall, square),
    FIELD(FlossCall, gradient),
    FIELD(FlossCall, adam_steps),
    FIELD(FlossCall, index),
    FIELD(FlossCall, seeds),
    FIELD(FlossCall, first_life),
    FIELD(FlossCall, k),
    FIELD(FlossCall, target),
    FIELD(FlossCall, diverged),
    FIELD(FlossCall, interval),
    FIELD(FlossCall, q0),
    FIELD(FlossCall, x),
    FIELD(FlossCall, loss),
    FIELD(FlossCall, exponents),
    FIELD(FlossCall, workspace),
    FIELD(FlossCall, workspace_bytes),
    {"FlossCall", 0, sizeof(FlossCall)},
    {nullptr, 0, 0},
};

#undef FIELD

}  // namespace
