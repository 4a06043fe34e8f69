// Loops that the threads of a rank share. A free thread takes the next piece; a waiting thread sleeps. On cores shared with
// other processes, a preempted thread therefore delays only its own piece.
#pragma once

#include <algorithm>
#include <cstddef>

namespace expunge {

/// Number of threads of a loop that the calling thread starts: that of omp_set_num_threads(), or 1 inside such a loop.
int loop_threads();

namespace parallel {

/// neighbours: each thread starts with adjacent pieces, then takes from the others. next: each takes the next piece.
enum class Order { neighbours, next };

/// Calls body(piece, thread) once for each piece, with thread in [0, loop_threads()); returns when all are done. Rethrows
/// an error of a piece. The calling thread runs all pieces itself if another thread's loop occupies the helpers.
void run_pieces(std::size_t pieces, Order order, void (*call)(const void* body, std::size_t piece, int thread),
                const void* body);

template <typename Body>
void run_pieces(std::size_t pieces, Order order, const Body& body) {
  const auto call = [](const void* it, std::size_t piece, int thread) { (*static_cast<const Body*>(it))(piece, thread); };
  run_pieces(pieces, order, call, &body);
}

constexpr std::size_t kPiecesPerThread = 4;   // enough for a short tail of the loop, few enough to cost nothing
constexpr std::size_t kLeastElements = 4096;  // per piece: a microsecond of work, about the cost of sharing it

}  // namespace parallel

/// body(task, thread) for each task, started in this order. `thread`, in [0, loop_threads()), selects scratch memory.
template <typename Body>
void parallel_tasks(std::size_t tasks, const Body& body) {
  parallel::run_pieces(tasks, parallel::Order::next, body);
}

/// body(begin, end) for ranges that cover [0, n), with borders at multiples of `grain`. The ranges depend only on n and the
/// number of threads, never on the thread that takes them.
template <typename Body>
void parallel_ranges(std::size_t n, std::size_t grain, const Body& body) {
  const std::size_t grains = (n + grain - 1) / grain;
  const std::size_t pieces = std::min(grains, parallel::kPiecesPerThread * static_cast<std::size_t>(loop_threads()));
  parallel::run_pieces(pieces, parallel::Order::neighbours, [&](std::size_t piece, int) {
    body(grains * piece / pieces * grain, std::min(n, grains * (piece + 1) / pieces * grain));
  });
}

/// body(i) for i in [0, n), where each i processes `elements` numbers.
template <typename Size, typename Body>
void parallel_for(Size n, std::size_t elements, const Body& body) {
  const std::size_t grain = std::max<std::size_t>(1, parallel::kLeastElements / std::max<std::size_t>(1, elements));
  parallel_ranges(static_cast<std::size_t>(n), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(static_cast<Size>(i));
  });
}

}  // namespace expunge
