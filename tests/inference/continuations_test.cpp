// How a context and its continuation become ids, with the tokenizer of tests/fixtures.
#include "inference/continuations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "expunge/error.h"
#include "inference/generation.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

class ContinuationsTest : public testing::Test {
 protected:
  Tokenizer tokenizer(bool bos, bool eos) {
    fs::copy_file(fs::path(EXPUNGE_FIXTURES) / "tokenizer" / "bytes.model", folder_ / "tokenizer.model",
                  fs::copy_options::overwrite_existing);
    std::ofstream(folder_ / "tokenizer_config.json")
        << R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": )"
        << (bos ? "true" : "false") << R"(, "add_eos_token": )" << (eos ? "true" : "false") << "}";
    return Tokenizer(folder_.path());
  }
  static LlamaConfig model(int positions, int vocabulary = 100000) {
    LlamaConfig config;
    config.max_position_embeddings = positions;
    config.vocab_size = vocabulary;
    return config;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(ContinuationsTest, PromptsBeginWithBosAndNeverEndWithEos) {
  const auto plain = tokenizer(false, false).encode("a text");
  for (const bool bos : {false, true})
    for (const bool eos : {false, true}) {
      const Tokenizer rule = tokenizer(bos, eos);
      auto expected = plain;
      if (bos) expected.insert(expected.begin(), rule.bos_id().value());
      EXPECT_EQ(prompt_ids(rule, "a text", "a"), expected);
      EXPECT_THAT(prompt_ids(rule, "", "a"), testing::ElementsAre(rule.bos_id().value()));
    }
}

TEST_F(ContinuationsTest, ContinuationIsWhatLiesBehindTheContextsIds) {
  for (const bool bos : {false, true}) {
    const Tokenizer rule = tokenizer(bos, false);
    const Continuation pair = encode_pair(rule, "the context", " is here", model(64), "");
    EXPECT_EQ(pair.ids, rule.encode("the context is here"));
    EXPECT_EQ(pair.first, rule.encode("the context").size());
    // A blank at the end of the context is the continuation's.
    const Continuation blank = encode_pair(rule, "the context ", "is here", model(64), "");
    EXPECT_EQ(blank.ids, pair.ids);
    EXPECT_EQ(blank.first, pair.first);
    // So is every white space that Python knows.
    const Continuation wide = encode_pair(rule, "the context\u00a0\v", "is here", model(64), "");
    EXPECT_EQ(wide.ids, rule.encode("the context\u00a0\vis here"));
    EXPECT_EQ(wide.first, rule.encode("the context").size());
    // Without a context the first id is predicted from BOS.
    const Continuation alone = encode_pair(rule, "", "is here", model(64), "");
    EXPECT_EQ(alone.ids.front(), rule.bos_id().value());
    EXPECT_EQ(alone.first, 1u);
    EXPECT_EQ(alone.ids.size(), tokenizer(false, false).encode("is here").size() + 1);
  }
}

TEST_F(ContinuationsTest, LongContextsLoseTheirBeginning) {
  const Tokenizer rule = tokenizer(true, false);
  const Continuation whole = encode_pair(rule, "a context of many ids", " end", model(500), "");
  const int kept = static_cast<int>(whole.ids.size()) - 3;
  const Continuation cut = encode_pair(rule, "a context of many ids", " end", model(kept - 1), "");
  EXPECT_EQ(cut.ids, std::vector<std::int32_t>(whole.ids.begin() + 3, whole.ids.end()));
  EXPECT_EQ(cut.first, whole.first - 3);
}

TEST_F(ContinuationsTest, RefusesWhatCannotBeScored) {
  const Tokenizer rule = tokenizer(true, false);
  const auto refusal = [&](const std::string& continuation, const LlamaConfig& config) -> std::string {
    try {
      encode_pair(rule, "a context", continuation, config, "here");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(refusal("", model(64)), testing::HasSubstr("here: '' has no tokens of its own"));
  EXPECT_THAT(refusal(" a continuation of many ids", model(4)), testing::HasSubstr("longer than the model's 4 positions"));
  EXPECT_THAT(refusal(" b", model(64, 3)), testing::HasSubstr("the model's vocabulary has 3"));
}

}  // namespace
}  // namespace expunge
