// The comparisons that the benchmark makes, each printing its tables.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/contestant.h"
#include "bench/cost.h"

namespace expunge::bench {

/// What the sections share.
struct Bench {
  std::string self;                 ///< this program, which does our work in processes of its own
  std::optional<std::string> peer;  ///< the Python that has PyTorch and transformers
  int rounds = 5;
  double limit_s = 600;  ///< a contestant takes no further turn after so many seconds
  bool compile = false;  ///< torch.compile as a further contestant
  Machine machine;
};

/// Layers and widths of a model; the vocabulary is 32000.
struct Size {
  int dim, layers, heads, mlp;
};
constexpr Size kSizes[] = {{288, 6, 6, 768}, {512, 8, 8, 1376}, {1024, 12, 16, 2752}};

/// Training steps of 2048 tokens: in sequences of 256 or 512, or one of 2048.
void bench_step(const Bench&, const Size&, const std::string& dtype, bool one_sequence);
/// A step of gradient ascent and descent over texts whose lengths differ, against the study's padded batches.
void bench_unlearning(const Bench&, const std::string& dtype);
/// Per-token figures over a split.
void bench_evaluation(const Bench&, const std::string& dtype);
/// One rank with two threads against two ranks with one, and the share of communication.
void bench_ranks(const Bench&);
/// Time and memory against the length of one sequence.
void bench_lengths(const Bench&);
/// 20 steps of a model of 260 thousand parameters, from the start of the process to its end.
void bench_tiny(const Bench&);
/// `expunge tokenize` over 100 MB of text against sentencepiece's own encoder.
void bench_tokenizing(const Bench&);

/// The environment in which a program of the peer runs fastest, as a command in front of it.
std::vector<std::string> tuned_environment();

}  // namespace expunge::bench
