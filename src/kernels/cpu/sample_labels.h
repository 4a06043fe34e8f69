// Draws one token id from each row's softmax, filtered by rank and by probability.
#pragma once

#include <algorithm>

#include "core/parallel.h"
#include "expunge/kernels.h"
#include "kernels/cpu/nll.h"
#include "kernels/cpu/numeric.h"

namespace expunge::cpu::EXPUNGE_CPU_LEVEL {

/// An id that may be drawn.
template <typename R>
struct Candidate {
  R logit;
  std::int32_t id;
  /// The reverse order of probability; among equals the lowest id comes first.
  bool operator<(const Candidate& other) const { return logit < other.logit || (logit == other.logit && id > other.id); }
};

/// Candidates by falling probability, sorted only as far as requested.
template <typename R>
class Ranking {
 public:
  Ranking(Candidate<R>* candidates, int size, R scale) : candidates_(candidates), size_(size), unsorted_(size), scale_(scale) {
    std::make_heap(candidates_, candidates_ + size_);
  }
  const Candidate<R>& operator[](int rank) {
    for (; size_ - unsorted_ <= rank; --unsorted_) std::pop_heap(candidates_, candidates_ + unsorted_);
    return candidates_[size_ - 1 - rank];
  }
  /// Proportional to the probability; 1 for the most likely candidate.
  double weight(int rank) { return double(exponential(((*this)[rank].logit - (*this)[0].logit) * scale_)); }

 private:
  Candidate<R>* candidates_;
  int size_, unsorted_;
  R scale_;
};

/// The most likely id below limit except excluded; -1 if there is none.
template <typename A>
std::int32_t most_likely(const A* row, std::int32_t excluded, int limit) {
  const int before = excluded < 0 ? limit : std::min(excluded, limit), after = std::min(before + 1, limit);
  const real_t<A> maximum = std::max(largest(row, before), largest(row + after, limit - after));
  for (int id = 0; id < limit; ++id)
    if (id != excluded && real_part(row[id]) == maximum) return id;
  return -1;
}

/// Draws from a row; `candidates` has room for every id; uniform in [0, 1).
template <typename A>
std::int32_t draw(const A* row, std::int32_t excluded, double uniform, const LabelSampling& sampling,
                  Candidate<real_t<A>>* candidates) {
  int kept = 0;
  for (std::int32_t id = 0; id < sampling.vocabulary_limit; ++id)
    if (id != excluded) candidates[kept++] = {real_part(row[id]), id};
  if (kept == 0) return -1;
  const auto scale = real_t<A>(1 / sampling.temperature);
  Ranking ranking(candidates, kept, scale);
  double total = 0;
  if (sampling.top_k > 0 && sampling.top_k < kept) {
    kept = sampling.top_k;
    for (int rank = 0; rank < kept; ++rank) total += ranking.weight(rank);
  } else {
    const real_t<A> maximum = ranking[0].logit;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < kept; ++i) total += double(exponential((candidates[i].logit - maximum) * scale));
  }
  double mass = total;
  if (sampling.top_p < 1) {
    mass = 0;
    int rank = 0;
    while (rank < kept && (rank == 0 || mass < sampling.top_p * total)) mass += ranking.weight(rank++);
    kept = rank;
  }
  double below = ranking.weight(0);
  int rank = 0;
  while (rank + 1 < kept && below <= uniform * mass) below += ranking.weight(++rank);
  return ranking[rank].id;
}

template <Element T>
void sample_labels(Stream&, std::int32_t* chosen, const acc_t<T>* logits, const std::int32_t* excluded, const double* uniform,
                   int n, int vocabulary, const LabelSampling& sampling) {
  using A = acc_t<T>;
  const bool sorts = sampling.top_k != 1;
  const Index limit = Index(sampling.vocabulary_limit);
  const int threads = loop_threads(), rooms = std::min(n, threads);
  Buffer<Candidate<real_t<A>>> candidates(Device{}, sorts ? Index(rooms) * limit : 0);
  parallel_tasks(Index(n), [&](Index t, int thread) {
    const A* const row = logits + t * Index(vocabulary);
    const Index room = rooms < threads ? t : Index(thread);
    chosen[t] = sorts ? draw(row, excluded[t], uniform[t], sampling, candidates.data() + room * limit)
                      : most_likely(row, excluded[t], sampling.vocabulary_limit);
  });
}

}  // namespace expunge::cpu::EXPUNGE_CPU_LEVEL
