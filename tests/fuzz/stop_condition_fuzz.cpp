// Fuzzes --stop-at.
#include <cmath>

#include "eval/condition.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  const std::string input(text(data, size));
  accepts("--stop-at", [&] {
    const expunge::StopCondition condition = expunge::parse_stop_condition(input);
    require(!condition.left.split.empty() && !condition.left.metric.empty(), "the left side names a metric");
    require(condition.right.split.empty() == condition.right.metric.empty(), "the right side names a metric or none");
    require(std::isfinite(condition.number), "the number is finite");
    condition.holds([](const auto&) { return 1.0; });
  });
  return 0;
}
