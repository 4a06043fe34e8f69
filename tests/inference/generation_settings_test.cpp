// Where a folder says that generated text ends.
#include "inference/generation_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kVocabulary = 380;

class GenerationSettingsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(std::filesystem::path(EXPUNGE_FIXTURES) / "tokenizer/bytes.model", folder_ / "tokenizer.model");
  }
  GenerationSettings read() const { return read_generation_settings(folder_.path(), Tokenizer(folder_.path()), kVocabulary); }
  std::string refusal(const std::string& generation_config) const {
    folder_.write("generation_config.json", generation_config);
    return error_of(ExitCode::bad_input, [&] { read(); });
  }
  TemporaryFolder folder_;
};

TEST_F(GenerationSettingsTest, EosIsTheUnionOfAllFiles) {
  EXPECT_THAT(read().eos_ids, ElementsAre(2));
  folder_.write("generation_config.json", R"({"eos_token_id": [7, 2, 7], "stop_strings": "END"})");
  EXPECT_THAT(read().eos_ids, ElementsAre(2, 7));
  EXPECT_THAT(read().stop_strings, ElementsAre("END"));
  folder_.write("config.json", R"({"eos_token_id": 9})");
  EXPECT_THAT(read().eos_ids, ElementsAre(2, 7, 9));
  folder_.write("tokenizer_config.json", R"({"eos_token": "<unk>"})");
  EXPECT_THAT(read().eos_ids, ElementsAre(0, 2, 7, 9));
  folder_.write("generation_config.json", R"({"eos_token_id": null, "stop_strings": ["a", "b"]})");
  EXPECT_THAT(read().eos_ids, ElementsAre(0, 9));
  EXPECT_THAT(read().stop_strings, ElementsAre("a", "b"));
}

TEST_F(GenerationSettingsTest, PadIdsOutsideTheVocabularyAreNone) {
  folder_.write("config.json", R"({"pad_token_id": -1})");
  EXPECT_THAT(read().pad_ids, ElementsAre());
  folder_.write("generation_config.json", R"({"pad_token_id": 5})");
  folder_.write("tokenizer_config.json", R"({"pad_token": "<unk>"})");
  EXPECT_THAT(read().pad_ids, ElementsAre(0));
}

TEST_F(GenerationSettingsTest, PadIdsOfOrdinaryPiecesAreText) {
  const std::string piece = Tokenizer(folder_.path()).piece(300);
  folder_.write("generation_config.json", R"({"pad_token_id": [1, 5, 300]})");
  EXPECT_THAT(read().pad_ids, ElementsAre(1));
  folder_.write("tokenizer_config.json", nlohmann::json{{"additional_special_tokens", {piece}}}.dump());
  EXPECT_THAT(read().pad_ids, ElementsAre(1, 300));
}

TEST_F(GenerationSettingsTest, NamesFileAndKeyOfWhatIsNone) {
  for (const char* value : {"380", "-1", "[2, 380]", "2.5", "true", "\"2\"", "[[2]]", "{}", "99999999999999999999"})
    EXPECT_THAT(refusal(std::string(R"({"eos_token_id": )") + value + "}"),
                AllOf(HasSubstr("generation_config.json: key 'eos_token_id'"), HasSubstr("an id from 0 to 379")))
        << value;
  for (const char* value : {"\"\"", "[\"a\", \"\"]", "7"})
    EXPECT_THAT(refusal(std::string(R"({"stop_strings": )") + value + "}"), HasSubstr("key 'stop_strings'")) << value;
  EXPECT_THAT(refusal(R"({"pad_token_id": "x"})"), HasSubstr("key 'pad_token_id'"));
  EXPECT_THAT(refusal("{"), HasSubstr("generation_config.json: not valid JSON"));
}

}  // namespace
}  // namespace expunge
