// Every kernel in float and bf16 against double, and against itself over repeated calls and thread counts.
#include <omp.h>

#include "operations.h"

namespace expunge::testing {
namespace {

template <Element T>
class Parity : public ::testing::Test {};
using ParityTypes = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Parity, ParityTypes);

/// Inputs that T holds exactly, what double makes of them (saved values rounded as T's kernels store them), and dy.
template <Element T, typename Operation>
struct Example {
  Arrays<double> inputs, outputs;
  std::vector<double> dy;
  explicit Example(const Operation& op) {
    for (const std::size_t size : op.inputs())
      inputs.push_back(rounded<T>(random_values(size, unsigned(size + inputs.size()))));
    outputs = op.template forward<double>(inputs);
    dy = rounded<T>(random_values(outputs[0].size(), 99));
  }
  Arrays<double> saved() const {
    Arrays<double> result = outputs;
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = i == 0 && Operation::kRoundedToT ? rounded<T>(outputs[i]) : rounded<acc_t<T>>(outputs[i]);
    return result;
  }
};

double mean_square_error(const std::vector<double>& found, const std::vector<double>& expected) {
  const double error = relative_error(found, expected);
  return error * error;
}

TYPED_TEST(Parity, AgreesWithDouble) {
  using T = TypeParam;
  for_each_operation([](const auto& op) {
    SCOPED_TRACE(op.name());
    const Example<T, std::decay_t<decltype(op)>> example(op);
    const auto found = op.template forward<T>(example.inputs);
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_LE(mean_square_error(found[i], example.outputs[i]), kTolerance<T>) << "output " << i;
    const auto expected_gradients = op.template backward<double>(example.inputs, example.saved(), example.dy);
    const auto gradients = op.template backward<T>(example.inputs, example.saved(), example.dy);
    for (std::size_t i = 0; i < gradients.size(); ++i)
      EXPECT_LE(mean_square_error(gradients[i], expected_gradients[i]), kTolerance<T>) << "gradient " << i;
  });
}

TYPED_TEST(Parity, RepeatsBitwise) {
  using T = TypeParam;
  for_each_operation([](const auto& op) {
    SCOPED_TRACE(op.name());
    const Example<T, std::decay_t<decltype(op)>> example(op);
    const auto forward = op.template forward<T>(example.inputs);
    const auto backward = op.template backward<T>(example.inputs, example.saved(), example.dy);
    for (int repeat = 0; repeat < 3; ++repeat) {
      EXPECT_EQ(op.template forward<T>(example.inputs), forward);
      EXPECT_EQ(op.template backward<T>(example.inputs, example.saved(), example.dy), backward);
    }
  });
}

/// Sums may be split differently between threads, so results agree to rounding.
TYPED_TEST(Parity, AgreesOverThreadCounts) {
  using T = TypeParam;
  const int threads = omp_get_max_threads();
  for_each_operation([](const auto& op) {
    SCOPED_TRACE(op.name());
    const Example<T, std::decay_t<decltype(op)>> example(op);
    omp_set_num_threads(1);
    const auto forward = op.template forward<T>(example.inputs);
    const auto backward = op.template backward<T>(example.inputs, example.saved(), example.dy);
    for (const int more : {2, 5}) {
      omp_set_num_threads(more);
      const auto forward_again = op.template forward<T>(example.inputs);
      const auto backward_again = op.template backward<T>(example.inputs, example.saved(), example.dy);
      for (std::size_t i = 0; i < forward.size(); ++i)
        EXPECT_LE(mean_square_error(forward_again[i], forward[i]), kTolerance<T>) << more << " threads, output " << i;
      for (std::size_t i = 0; i < backward.size(); ++i)
        EXPECT_LE(mean_square_error(backward_again[i], backward[i]), kTolerance<T>) << more << " threads, gradient " << i;
    }
  });
  omp_set_num_threads(threads);
}

}  // namespace
}  // namespace expunge::testing
