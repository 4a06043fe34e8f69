// Every backward kernel in double against the complex step (Squire and Trapp 1998): f'(x) = Im f(x + ih) / h, exact to
// rounding.
#include "operations.h"

namespace expunge::testing {
namespace {

constexpr double kStep = 1e-50, kExact = 1e-10;

/// Derivative of sum(weights . y) along a direction of all inputs.
template <typename Operation>
double derivative(const Operation& op, const Arrays<double>& inputs, const Arrays<double>& direction,
                  const std::vector<double>& weights) {
  Arrays<Complex> stepped(inputs.size());
  for (std::size_t a = 0; a < inputs.size(); ++a)
    for (std::size_t i = 0; i < inputs[a].size(); ++i) stepped[a].emplace_back(inputs[a][i], kStep * direction[a][i]);
  const std::vector<Complex> y = op.template forward<Complex>(stepped)[0];
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += weights[i] * y[i].imag() / kStep;
  return sum;
}

/// Compares along random directions, which involve every element, and along single elements, which tell where an error is.
template <typename Operation>
void check_gradient(const Operation& op) {
  SCOPED_TRACE(op.name());
  Arrays<double> inputs;
  for (const std::size_t size : op.inputs()) inputs.push_back(random_values(size, unsigned(size + inputs.size())));
  const Arrays<double> outputs = op.template forward<double>(inputs);
  const std::vector<double> weights = random_values(outputs[0].size(), 99);
  const Arrays<double> gradients = op.template backward<double>(inputs, outputs, weights);
  Arrays<double> direction;
  for (const auto& input : inputs) direction.push_back(random_values(input.size(), 7));
  for (std::size_t a = 0; a < inputs.size(); ++a) {
    std::vector<double> expected, found;
    Arrays<double> along(inputs.size());
    for (std::size_t b = 0; b < inputs.size(); ++b) along[b].resize(inputs[b].size());
    along[a] = direction[a];
    expected.push_back(derivative(op, inputs, along, weights));
    found.push_back(0);
    for (std::size_t i = 0; i < inputs[a].size(); ++i) found[0] += gradients[a][i] * along[a][i];
    const std::size_t samples = 10, size = inputs[a].size();
    for (std::size_t i = 0; i < size; i += size / samples + 1) {
      std::fill(along[a].begin(), along[a].end(), 0);
      along[a][i] = 1;
      expected.push_back(derivative(op, inputs, along, weights));
      found.push_back(gradients[a][i]);
    }
    EXPECT_LE(relative_error(found, expected), kExact) << "input " << a;
  }
}

TEST(Gradient, EveryBackwardAgreesWithTheComplexStep) {
  for_each_operation([](const auto& op) { check_gradient(op); });
}

}  // namespace
}  // namespace expunge::testing
