// Tests of what decides whether two figures may be compared.
#include "run/conditions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

std::vector<std::string> names(const std::vector<ConditionPair>& pairs) {
  std::vector<std::string> result;
  for (const ConditionPair& pair : pairs) result.push_back(pair.name);
  return result;
}

TEST(Conditions, WhatDiffersIsNamedWithBothValues) {
  const Conditions before = {{"dtype", "float32"}, {"device", "cpu"}, {"tokens_sha256", std::string(64, 'a')}};
  Conditions after = before;
  EXPECT_EQ(differences(pair_conditions(before, after)), "");
  after[0].value = "bfloat16";
  after[2].value = std::string(64, 'b');
  EXPECT_EQ(differences(pair_conditions(before, after)),
            "dtype float32 and bfloat16, tokens_sha256 aaaaaaaaaaaa... and bbbbbbbbbbbb...");
}

TEST(Conditions, WhatAFileDoesNotSayIsUnknownAndNotTakenAsADifference) {
  const Conditions before = {{"dtype", "float32"}, {"device", ""}}, after = {{"dtype", "float32"}, {"device", "cpu"}};
  const std::vector<ConditionPair> pairs = pair_conditions(before, after);
  EXPECT_EQ(differences(pairs), "");
  EXPECT_FALSE(pairs[1].known());
  EXPECT_EQ(shown_condition(pairs[1].before), "unknown");
}

TEST(Conditions, OneTokenFileHasOneMaxLengthAndTokenizer) {
  const Conditions earlier = {{"tokens_sha256", "a"}, {"max_length", ""}, {"tokenizer_sha256", ""}};
  const Conditions now = {{"tokens_sha256", "a"}, {"max_length", "512"}, {"tokenizer_sha256", "t"}};
  EXPECT_EQ(names(pair_conditions(earlier, now)), std::vector<std::string>{"tokens_sha256"});
  Conditions other = now;
  other[0].value = "b";
  EXPECT_EQ(names(pair_conditions(earlier, other)).size(), 3U);
}

TEST(Conditions, NumbersOfSamplesCountWhereBothAreKnown) {
  std::vector<ConditionPair> pairs;
  add_count(pairs, "sequences", 3, 3);
  add_count(pairs, "sequences", 0, 3);
  EXPECT_TRUE(pairs.empty());
  add_count(pairs, "sequences", 2, 3);
  EXPECT_EQ(differences(pairs), "sequences 2 and 3");
}

TEST(Conditions, AttributesOfAFileAreRead) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "eval.h5");
  file.write_attribute("/", "dtype", std::string("float32"));
  file.write_attribute("/", "max_length", std::uint64_t{512});
  file.close();
  const Conditions found = evaluation_conditions(Hdf5File::open(folder / "eval.h5"));
  const auto value = [&](const char* name) { return std::ranges::find(found, name, &Condition::name)->value; };
  EXPECT_EQ(value("dtype"), "float32");
  EXPECT_EQ(value("max_length"), "512");
  EXPECT_EQ(value("device"), "");
}

}  // namespace
}  // namespace expunge
