// The tokenizer against ids that transformers gave (tests/fixtures/make_tokenizer_fixture.py), and folders it must refuse.
#include "data/tokenizer.h"

#include <gmock/gmock.h>

#include <atomic>

#include "io/json.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kFixture = std::filesystem::path(EXPUNGE_FIXTURES) / "tokenizer";

/// A tokenizer folder: a fixture's model and JSON files given as {"tokenizer_config": {...}, ...}.
void fill_folder(const TemporaryFolder& folder, const std::string& model, const json& files) {
  folder.write("tokenizer.model", slurp(kFixture / (model + ".model")));
  for (const auto& [name, content] : files.items()) folder.write(name + ".json", content.dump());
}

Tokenizer load(const std::string& model, const json& files) {
  const TemporaryFolder folder;
  fill_folder(folder, model, files);
  return Tokenizer(folder.path());
}

std::string refusal(const json& files) {
  return error_of(ExitCode::bad_input, [&] { load("bytes", files); });
}

TEST(Tokenizer, IdsEqualThoseOfTransformers) {
  const json fixture = parse_json_file(kFixture / "cases.json", 1 << 20);
  for (const json& c : fixture["cases"]) {
    const Tokenizer tokenizer = load(c["model"], c["files"]);
    for (std::size_t i = 0; i < fixture["texts"].size(); ++i) {
      EXPECT_EQ(tokenizer.encode(fixture["texts"][i].get<std::string>()), c["ids"][i].get<std::vector<std::int32_t>>())
          << c["model"] << ", " << c["name"] << ": " << fixture["texts"][i];
    }
  }
}

TEST(Tokenizer, KnowsItsVocabulary) {
  const Tokenizer plain = load("bytes", {});
  EXPECT_EQ(plain.vocabulary_size(), 380);
  EXPECT_EQ(plain.bos_id(), 1);
  EXPECT_EQ(plain.eos_id(), 2);
  EXPECT_EQ(plain.piece(1), "<s>");
  EXPECT_EQ(plain.piece(-1), "");
  EXPECT_EQ(plain.piece(380), "");
  EXPECT_EQ(plain.id("</s>"), 2);
  EXPECT_EQ(plain.id("no such piece"), std::nullopt);
  EXPECT_EQ(plain.id(plain.piece(300)), 300);

  const json token = {{"content", "<far>"}};
  const Tokenizer more =
      load("bytes", {{"tokenizer_config", {{"added_tokens_decoder", {{"400", token}}}, {"pad_token", "<pad>"}}}});
  EXPECT_EQ(more.id("<far>"), 400);
  EXPECT_EQ(more.id("<pad>"), 381);  // behind the 381 names there are, as transformers counts
  EXPECT_EQ(more.piece(390), "");
  EXPECT_EQ(more.vocabulary_size(), 401);
}

TEST(Tokenizer, Decodes) {
  const Tokenizer tokenizer = load("bytes", {});
  const std::string text = "The clock\n  é 😀 ran";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), "<s>" + text);
  EXPECT_EQ(tokenizer.decode({}), "");
  const std::vector<std::int32_t> outside = {380};
  EXPECT_THAT(error_of(ExitCode::usage, [&] { tokenizer.decode(outside); }), HasSubstr("380 is outside"));
}

TEST(Tokenizer, SeveralThreadsAtOnce) {
  const Tokenizer tokenizer = load("bytes", {});
  const std::string text = "The old printer remembered</s> the blue lantern\nafter 1907?";
  const auto expected = tokenizer.encode(text);
  std::atomic<int> wrong = 0;
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < 400; ++i) wrong += tokenizer.encode(text) != expected;
  EXPECT_EQ(wrong, 0);
}

TEST(Tokenizer, HashFollowsModelAndRule) {
  const auto with = [](const json& config) { return load("bytes", {{"tokenizer_config", config}}).hash(); };
  const std::string plain = with(json::object());
  EXPECT_EQ(plain.size(), 64u);
  EXPECT_EQ(plain, with({{"chat_template", "anything"}, {"legacy", true}, {"bos_token", "<s>"}}));
  EXPECT_NE(plain, with({{"legacy", false}}));
  EXPECT_NE(plain, with({{"add_bos_token", false}}));
  EXPECT_NE(plain, with({{"pad_token", "[PAD]"}}));
  EXPECT_NE(plain, load("unknowns", {}).hash());
}

TEST(Tokenizer, NeedsASentencepieceModel) {
  const TemporaryFolder folder;
  const auto message = [&] { return error_of(ExitCode::bad_input, [&] { Tokenizer{folder.path()}; }); };
  EXPECT_THAT(message(), HasSubstr("has no tokenizer.model: a sentencepiece model is needed"));
  const auto of = [](const std::filesystem::path& path) { return error_of(ExitCode::bad_input, [&] { Tokenizer{path}; }); };
  EXPECT_THAT(of(folder / "nowhere"), HasSubstr("nowhere: there is no such folder"));
  EXPECT_THAT(of(folder.write("file", "x")), HasSubstr("file: it is not a folder; expected the folder that holds"));
  folder.write("tokenizer.json", "{}");
  EXPECT_THAT(message(), HasSubstr("only a tokenizer.json"));
  const std::string model = slurp(kFixture / "bytes.model");
  for (const std::string& broken : {std::string("text"), model.substr(0, model.size() / 2), model.substr(10)}) {
    folder.write("tokenizer.model", broken);
    EXPECT_THAT(message(), HasSubstr("tokenizer.model is not a sentencepiece model"));
  }
  folder.write("tokenizer.model", "");
  EXPECT_THAT(message(), HasSubstr("tokenizer.model: it is empty (0 bytes)"));
  folder.write("tokenizer.model", std::string("a\0b\0", 4));
  EXPECT_THAT(message(), HasSubstr("it is UTF-16LE text"));
}

TEST(Tokenizer, RefusesWhatItCannotFollow) {
  const auto config = [](const json& value) { return refusal({{"tokenizer_config", value}}); };
  EXPECT_THAT(config({{"tokenizer_class", "T5Tokenizer"}}), HasSubstr("tokenizer_class 'T5Tokenizer' is not supported"));
  EXPECT_THAT(config({{"sp_model_kwargs", {{"enable_sampling", true}}}}), HasSubstr("sp_model_kwargs"));
  EXPECT_THAT(config({{"legacy", "yes"}}), HasSubstr("key 'legacy': expected true or false, found \"yes\""));
  EXPECT_THAT(config({{"bos_token", 1}}), HasSubstr("bos_token"));
  EXPECT_THAT(config({{"bos_token", nullptr}}), HasSubstr("add_bos_token without a bos_token"));
  EXPECT_THAT(config({{"bos_token", ""}}), HasSubstr("add_bos_token without a bos_token"));
  EXPECT_THAT(config({{"legacy", false}, {"unk_token", nullptr}}), HasSubstr("needs an unk_token"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"x1", {{"content", "a"}}}}}}), HasSubstr("expected an id from 0"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"99999999999999999999", {{"content", "a"}}}}}}), HasSubstr("expected an id"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"400", {{"text", "a"}}}}}}), HasSubstr("key 'content' is missing"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"381", {{"content", "a b"}}}}}, {"pad_token", "[PAD]"}}),
              HasSubstr("'[PAD]' would get id 381, which 'a b' has"));
  EXPECT_THAT(refusal({{"added_tokens", {{"a", 400}, {"b", 400}}}}), HasSubstr("id 400 is given to both 'a' and 'b'"));
  EXPECT_THAT(refusal({{"added_tokens", {{"a", -1}}}}), AllOf(HasSubstr("added_tokens.json"), HasSubstr("key 'a'")));
  EXPECT_THAT(refusal({{"tokenizer_config", json::array()}}), HasSubstr("expected a JSON object"));
}

const json kText = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};

json named(const std::string& token) { return {{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; }

/// A post-processor as tokenizers writes it, with the ids of the fixture's three special tokens.
json template_of(const json& single) {
  json tokens;
  for (const auto& [token, id] : {std::pair("<unk>", 0), {"<s>", 1}, {"</s>", 2}})
    tokens[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", json::array()}, {"special_tokens", tokens}};
}

using Ids = std::vector<std::int32_t>;

Ids around(const json& post_processor, const json& config = json::object()) {
  const json files = {{"tokenizer_config", config}, {"tokenizer", {{"post_processor", post_processor}}}};
  return load("bytes", files).encode("");
}

TEST(Tokenizer, BosAndEosAreThoseOfTokenizerJsonWhereNoKeySaysThem) {
  // transformers 5.24 gives these ids for the same post-processors.
  const json bos = template_of({named("<s>"), kText});
  EXPECT_EQ(around(nullptr), Ids());
  EXPECT_EQ(around({{"type", "ByteLevel"}}), Ids());
  EXPECT_EQ(around(template_of(json::array({kText}))), Ids());
  EXPECT_EQ(around(bos), Ids({1}));
  EXPECT_EQ(around(template_of({kText, named("</s>")})), Ids({2}));
  EXPECT_EQ(around(template_of({named("<s>"), kText, named("</s>")})), Ids({1, 2}));
  EXPECT_EQ(around({{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, bos}}}), Ids({1}));
  EXPECT_EQ(around(template_of({named("<unk>"), kText})), Ids({0}));
  EXPECT_EQ(around(template_of({named("<s>"), named("<s>"), kText})), Ids({1, 1}));
  // A key counts, each for itself; its null is a no.
  EXPECT_EQ(around(nullptr, {{"add_bos_token", true}}), Ids({1}));
  EXPECT_EQ(around(bos, {{"add_bos_token", false}}), Ids());
  EXPECT_EQ(around(bos, {{"add_bos_token", nullptr}}), Ids());
  EXPECT_EQ(around(bos, {{"add_eos_token", true}}), Ids({1, 2}));
  EXPECT_EQ(around(nullptr, {{"add_eos_token", true}}), Ids({2}));
  // BOS that nothing puts in front need not be there.
  EXPECT_EQ(around(nullptr, {{"bos_token", nullptr}}), Ids());
}

TEST(Tokenizer, ATokenizerJsonThatCannotBeUsedChangesNothing) {
  json outside = template_of({named("<s>"), kText});
  outside["special_tokens"]["<s>"]["ids"] = {380};
  for (const json& useless :
       {outside, template_of(json::array({named("<s>")})), template_of({kText, kText}), template_of({named("[CLS]"), kText}),
        json{{"type", "BertProcessing"}}, json(7), json{{"type", "TemplateProcessing"}}})
    EXPECT_EQ(around(useless), Ids({1})) << useless;
  const TemporaryFolder folder;
  fill_folder(folder, "bytes", {{"tokenizer_config", {{"added_tokens_decoder", json::object()}}}});
  folder.write("tokenizer.json", "version https://git-lfs.github.com/spec/v1");
  const Tokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.encode(""), Ids({1}));
  EXPECT_THAT(tokenizer_differences(folder.path(), tokenizer), ElementsAre(HasSubstr("cannot be compared")));
}

TEST(Tokenizer, HashFollowsTokenizerJsonOnlyWhereIdsDo) {
  const auto with = [](const json& post_processor) {
    return load("bytes", {{"tokenizer", {{"post_processor", post_processor}}}});
  };
  const std::string plain = load("bytes", {}).hash();
  EXPECT_EQ(plain, with(template_of({named("<s>"), kText})).hash());
  EXPECT_EQ(with(nullptr).hash(), load("bytes", {{"tokenizer_config", {{"add_bos_token", false}}}}).hash());
  EXPECT_NE(plain, with(template_of({named("<unk>"), kText})).hash());
  EXPECT_EQ(plain, with(template_of({named("<unk>"), kText})).former_hash());
  EXPECT_EQ(plain, with(nullptr).former_hash());
}

/// The tokenizer.json that says the same as the fixture's model.
json same_in_json() {
  const Tokenizer tokenizer = load("bytes", {});
  json vocabulary;
  for (int id = 0; id < tokenizer.vocabulary_size(); ++id) vocabulary[tokenizer.piece(id)] = id;
  return {{"added_tokens", {{{"id", 1}, {"content", "<s>"}, {"lstrip", false}}}},
          {"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "always"}}},
          {"post_processor", template_of({named("<s>"), kText})},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}}}};
}

TEST(Tokenizer, DifferencesOfTokenizerJson) {
  const auto differences = [](const json& file, const json& config = json::object()) {
    const TemporaryFolder folder;
    fill_folder(folder, "bytes", {{"tokenizer", file}, {"tokenizer_config", config}});
    return tokenizer_differences(folder.path(), Tokenizer(folder.path()));
  };
  json file = same_in_json();
  EXPECT_THAT(differences(file), ElementsAre());
  EXPECT_THAT(differences(file, {{"add_bos_token", false}}), ElementsAre("it says '<s>' TEXT, which is TEXT here"));
  EXPECT_THAT(differences(file, {{"legacy", false}}), ElementsAre(HasSubstr("'always' there, 'first' here")));
  file["model"]["vocab"]["the"] = 5;
  file["model"]["vocab"].erase("</s>");
  EXPECT_THAT(differences(file), ElementsAre(HasSubstr("have another id here or none, the first 'the' (id 5, here"),
                                             HasSubstr("1 tokens are here alone, the first '</s>'")));
  file = same_in_json();
  file["added_tokens"].push_back({{"id", 380}, {"content", "<far>"}});
  const json flags = {{"added_tokens_decoder", {{"1", {{"content", "<s>"}, {"lstrip", true}}}}}};
  EXPECT_THAT(differences(file, flags), ElementsAre(HasSubstr("the first '<far>' (id 380, here none)"),
                                                    HasSubstr("the added token '<s>' has other flags here")));
}

TEST(Tokenizer, KnowsBosThatATextSpellsOut) {
  const Tokenizer plain = load("bytes", {});
  EXPECT_TRUE(plain.doubles_bos(plain.encode("<s>The clock")));  // as transformers 4 and 5 do
  EXPECT_FALSE(plain.doubles_bos(plain.encode("The clock")));
  EXPECT_FALSE(plain.doubles_bos(plain.encode("")));
  const Tokenizer without = load("bytes", {{"tokenizer_config", {{"add_bos_token", false}}}});
  EXPECT_FALSE(without.doubles_bos(without.encode("<s>The clock")));
}

}  // namespace
}  // namespace expunge
