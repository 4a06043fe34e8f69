// --trainable: which parameters a pattern freezes, and patterns that are none.
#include <gmock/gmock.h>

#include "expunge/train/optimizer.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<UnitLayout> units() {
  std::vector<UnitLayout> result;
  result.emplace_back("block0", 1).add({{"layers.0.q", {2, 2}}, {"layers.0.k", {2, 2}}});
  return result;
}

TEST(Trainable, FreezesWhatDoesNotMatch) {
  EXPECT_THAT(frozen_parameters(".*q", units()), ElementsAre("layers.0.k"));
  EXPECT_TRUE(frozen_parameters("", units()).empty());
}

TEST(Trainable, PatternsThatCannotBeUsedAreRefused) {
  const auto message = [](const std::string& pattern) {
    return error_of(ExitCode::usage, [&] { frozen_parameters(pattern, units()); });
  };
  EXPECT_THAT(message("["), HasSubstr("not a regular expression"));
  EXPECT_THAT(message("mlp"), HasSubstr("matches no parameter: the whole name must match"));
  EXPECT_THAT(message(std::string(1'000'000, '(')), HasSubstr("at most 1000 characters, found 1000000"));
}

}  // namespace
}  // namespace expunge
