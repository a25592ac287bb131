// Networks spread over threads. Nothing is shared between networks but a counter from which the next one is drawn.
//
// A network is computed by one thread, or, where it is large and there are more threads than networks, by a team of
// them. All members of a team run the same program on the same memory. Each has its share of the loops that are worth
// it, the leader, of rank 0, does the rest alone, and they meet before one of them reads what another has written. What
// is added up is added up in an order that does not depend on the team, so that a team's size changes no bits.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

using std::int64_t;

struct Span {
    int64_t begin, end;
};

// Vanishing adjoints end as denormal numbers, which cost some machines a hundred cycles each.
struct NoDenormals {
#if defined(__SSE__)
    unsigned before = _mm_getcsr();
    NoDenormals() { _mm_setcsr(before | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before); }
#endif
};

// Where the members of a team wait for each other: for some ten microseconds busily, for that is what a step takes, and
// then leaving the core to whatever else wants it.
struct Meeting {
    static constexpr int PATIENCE = 1000;
    alignas(64) std::atomic<int64_t> arrived{0};
    alignas(64) std::atomic<int64_t> held{0};  // meetings that are over
    int64_t network = 0;                       // what the leader has drawn

    void wait(int64_t members) {
        const int64_t before = held.load(std::memory_order_relaxed);
        if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
            arrived.store(0, std::memory_order_relaxed);
            held.store(before + 1, std::memory_order_release);
            return;
        }
        for (int turn = 0; held.load(std::memory_order_acquire) == before;)
            if (turn < PATIENCE) {
                ++turn;
#if defined(__SSE__)
                _mm_pause();
#endif
            } else {
                std::this_thread::yield();
            }
    }
};

struct Team {
    int64_t rank = 0, size = 1;
    Meeting* meeting = nullptr;

    bool leads() const { return rank == 0; }
    void meet() const {
        if (size > 1) meeting->wait(size);
    }
    // Its part of `count` things.
    Span share(int64_t count) const {
        return size == 1 ? Span{0, count} : Span{count * rank / size, count * (rank + 1) / size};
    }
};

// How many threads may share a network, one step of which takes so many floating-point operations: so many that each of
// them works for longer than a meeting takes, about a microsecond.
inline int64_t most_threads(double flop) { return std::max<int64_t>(1, int64_t(flop / 5e5)); }

// The size of teams: that which needs the fewest rounds of networks, reckoned in the time that one thread takes for a
// network; the smallest of these. `most` threads may share a network.
inline int64_t team_size(int64_t networks, int64_t threads, int64_t most) {
    int64_t best = 1;
    const auto rounds = [&](int64_t size) {
        const int64_t teams = std::max<int64_t>(threads / size, 1);
        return double((networks + teams - 1) / teams) / double(size);
    };
    for (int64_t size = 2; size <= std::min(most, threads); ++size)
        if (rounds(size) < rounds(best)) best = size;
    return best;
}

// work(number of the team, team, network) for every network, by every member of the team that draws it.
template <class Work>
void in_teams(int64_t networks, int64_t teams, int64_t size, Work work) {
    std::atomic<int64_t> next{0};
    teams = std::min(teams, networks);
    std::deque<Meeting> meetings(static_cast<std::size_t>(teams));
    const auto member = [&](int64_t thread) {
        NoDenormals guard;
        const Team team{thread % size, size, &meetings[static_cast<std::size_t>(thread / size)]};
        while (true) {
            if (team.leads()) team.meeting->network = next++;
            team.meet();
            const int64_t network = team.meeting->network;
            if (network >= networks) return;
            work(thread / size, team, network);
            team.meet();  // before the leader draws again
        }
    };
    std::vector<std::thread> others;
    for (int64_t thread = 1; thread < teams * size; ++thread) others.emplace_back(member, thread);
    member(0);
    for (auto& other : others) other.join();
}

}  // namespace
