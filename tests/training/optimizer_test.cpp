// --trainable: which parameters a pattern freezes, and patterns that are none.
#include <gmock/gmock.h>

#include <chrono>

#include "support/temporary_folder.h"
#include "training/optimizer.h"

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
  EXPECT_THAT(fixed_parameters(".*q", units()), ElementsAre("layers.0.k"));
  EXPECT_TRUE(fixed_parameters("", units()).empty());
}

TEST(Trainable, PatternsThatCannotBeUsedAreRefused) {
  const auto message = [](const std::string& pattern) {
    return error_of(ExitCode::usage, [&] { fixed_parameters(pattern, units()); });
  };
  EXPECT_THAT(message("["), HasSubstr("expected a regular expression"));
  EXPECT_THAT(message("mlp"), HasSubstr("matches no parameter: it must match a whole name"));
  EXPECT_THAT(message(std::string(1'000'000, '(')), HasSubstr("at most 1000 characters, found 1000000"));
  for (const char* other : {"(?!.*q).*", "(?=l).*", R"((l)\1.*)"})
    EXPECT_THAT(message(other), HasSubstr("without lookahead and backreferences")) << other;
  EXPECT_THAT(message("((((.{1000}){1000}){1000}){1000})"), HasSubstr("expected a regular expression in RE2's syntax"));
}

TEST(Trainable, PatternsMeanWhatTheyDidInECMAScript) {
  std::vector<UnitLayout> model;
  model.emplace_back("units", 1)
      .add({{"model.embed_tokens.weight", {2}},
            {"model.layers.0.mlp.up_proj.weight", {2}},
            {"model.layers.1.mlp.up_proj.weight", {2}},
            {"model.layers.12.self_attn.q_proj.weight", {2}}});
  const auto trained = [&](const std::string& pattern) { return 4 - fixed_parameters(pattern, model).size(); };
  EXPECT_EQ(trained(".*layers\\.[012]\\.mlp.*"), 2u);
  EXPECT_EQ(trained("model\\.layers\\.\\d+\\..*"), 3u);
  EXPECT_EQ(trained("(?:.*embed_tokens|.*q_proj)\\.weight"), 2u);
  EXPECT_EQ(trained("^model.layers.[^1].*$"), 1u);
  EXPECT_EQ(trained("model\\.layers\\.[[:digit:]]{2}\\.\\w+\\.\\w+\\.weight"), 1u);
  EXPECT_EQ(trained(".*up\\_proj.*|.*?q.*?"), 3u);
}

// A matcher that goes back would take longer than the universe is old, and TERM would not end it.
TEST(Trainable, NoPatternTakesLong) {
  std::vector<UnitLayout> model;
  const std::string name(200, 'a');
  for (int i = 0; i < 500; ++i) model.emplace_back("unit", 1).add({{name + std::to_string(i), {2}}});
  const auto began = std::chrono::steady_clock::now();
  std::string deep, wide;
  for (int i = 0; i < 90; ++i) deep += "(.*)*";
  for (int i = 0; i < 120; ++i) wide += "(a|aa)?";
  for (const std::string& pattern : {deep + "x", wide + "x", std::string("(a*)*b"), std::string("(a|a?)+b"),
                                     std::string("(((a{0,30}){0,30}){0,3})b"), std::string("(.{0,900}b){1,1}x")})
    (void)error_of(ExitCode::usage, [&] { fixed_parameters(pattern, model); });
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
}

}  // namespace
}  // namespace expunge
