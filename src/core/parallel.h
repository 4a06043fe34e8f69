// Loops that the threads of a rank share. Whoever is free takes the next piece of the work, and whoever waits sleeps: on cores
// that others use too, a thread that is held up holds up its own piece alone.
#pragma once

#include <algorithm>
#include <cstddef>

namespace expunge {

/// How many threads share a loop that the calling thread begins: as many as omp_set_num_threads() says, 1 inside such a loop.
int loop_threads();

namespace parallel {

/// neighbours: each thread begins with a row of adjacent pieces, then takes from the others. next: all take the next piece.
enum class Order { neighbours, next };

/// Calls body(piece, thread) once for each piece, thread being in [0, loop_threads()), and returns when all are done. Rethrows
/// what a piece threw. The calling thread does all pieces where another thread's loop has the helpers.
void run_pieces(std::size_t pieces, Order order, void (*call)(const void* body, std::size_t piece, int thread),
                const void* body);

template <typename Body>
void run_pieces(std::size_t pieces, Order order, const Body& body) {
  const auto call = [](const void* it, std::size_t piece, int thread) { (*static_cast<const Body*>(it))(piece, thread); };
  run_pieces(pieces, order, call, &body);
}

constexpr std::size_t kPiecesPerThread = 4;   // enough that the end of a loop is short, few enough to cost nothing
constexpr std::size_t kLeastElements = 4096;  // of a piece: a microsecond's work, about what sharing it costs

}  // namespace parallel

/// body(task, thread) for each task, begun in this order. `thread`, in [0, loop_threads()), tells whose scratch memory to use.
template <typename Body>
void parallel_tasks(std::size_t tasks, const Body& body) {
  parallel::run_pieces(tasks, parallel::Order::next, body);
}

/// body(begin, end) for ranges that make up [0, n), whose borders are multiples of `grain`. The ranges depend on n and on the
/// number of threads, never on which thread takes them.
template <typename Body>
void parallel_ranges(std::size_t n, std::size_t grain, const Body& body) {
  const std::size_t grains = (n + grain - 1) / grain;
  const std::size_t pieces = std::min(grains, parallel::kPiecesPerThread * static_cast<std::size_t>(loop_threads()));
  parallel::run_pieces(pieces, parallel::Order::neighbours, [&](std::size_t piece, int) {
    body(grains * piece / pieces * grain, std::min(n, grains * (piece + 1) / pieces * grain));
  });
}

/// body(i) for i in [0, n), where each i is the work of `elements` numbers.
template <typename Size, typename Body>
void parallel_for(Size n, std::size_t elements, const Body& body) {
  const std::size_t grain = std::max<std::size_t>(1, parallel::kLeastElements / std::max<std::size_t>(1, elements));
  parallel_ranges(static_cast<std::size_t>(n), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(static_cast<Size>(i));
  });
}

}  // namespace expunge
