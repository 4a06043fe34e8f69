// JSON: positions in errors, kinds of values, absent keys.
#include "expunge/io/json.h"

#include <gmock/gmock.h>

#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::HasSubstr;

JsonObject object(std::string_view text) { return {parse_json(text, "config.json"), "config.json"}; }

TEST(Json, ErrorsNameFileAndPosition) {
  const TemporaryFolder folder;
  const auto file = folder.write("c.json", "{\n \"a\": ]}");
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { parse_json_file(file, 100); }),
              AllOf(HasSubstr("c.json: not valid JSON"), HasSubstr("line 2, column 7")));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { parse_json_file(file, 5); }), HasSubstr("larger than"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { parse_json("\"\xff\"", "x"); }), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { object("[1]"); }), HasSubstr("expected a JSON object, found [1]"));
}

TEST(Json, ErrorsShowThePlaceAlone) {
  const std::string endless(10 << 20, 'y');
  const auto message = [](const std::string& text) {
    const std::string said = error_of(ExitCode::bad_input, [&] { parse_json(text, "a.jsonl, line 7"); });
    EXPECT_LT(said.size(), 300u);
    return said;
  };
  EXPECT_EQ(message("{\"text\": oops}"),
            "a.jsonl, line 7: not valid JSON: parse error at column 10: syntax error while parsing value - invalid "
            "literal, near '{\"text\": oops}'");
  EXPECT_THAT(message("{\"a\": \"" + endless), AllOf(HasSubstr("missing closing quote"), HasSubstr("near '...yyyy")));
  EXPECT_THAT(message("{\"a\": \"" + endless + "\", \x1b[31mb}"), HasSubstr("yyyy\", \\x1b[31mb}'"));
  message("[1" + std::string(10 << 20, '0') + "]");
  message("{\"" + endless + "\": 1]");
  EXPECT_LT(error_of(ExitCode::bad_input, [&] { object("{}").string(endless); }).size(), 200u);
}

TEST(Json, ReadsKindsOfValues) {
  const JsonObject o = object(R"({"s": "x", "b": true, "i": 7, "d": 0.5, "n": null})");
  EXPECT_EQ(o.string("s"), "x");
  EXPECT_TRUE(o.boolean("b"));
  EXPECT_EQ(o.integer("i", 1), 7);
  EXPECT_EQ(o.number("d"), 0.5);
  EXPECT_EQ(o.number("i"), 7.0);
  EXPECT_FALSE(o.has("n"));
  EXPECT_EQ(o.string_or("n", "f"), "f");
  EXPECT_EQ(o.boolean_or("none", true), true);
  EXPECT_EQ(o.integer_or("none", 3, 0), 3);
  EXPECT_EQ(o.number_or("none", 2.5), 2.5);
}

TEST(Json, NamesKeyExpectedAndFound) {
  const JsonObject o = object(R"({"hidden_size": "x", "big": 18446744073709551615, "zero": 0, "half": 0.5})");
  const auto message = [&](const auto& read) { return error_of(ExitCode::bad_input, read); };
  EXPECT_EQ(message([&] { o.integer("hidden_size", 1); }),
            "config.json: key 'hidden_size': expected a positive integer, found \"x\"");
  EXPECT_THAT(message([&] { o.integer("big", 1); }), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(message([&] { o.integer("zero", 1); }), HasSubstr("positive"));
  EXPECT_THAT(message([&] { o.integer("half", 0, 5); }), HasSubstr("an integer of at least 0, at most 5, found 0.5"));
  EXPECT_THAT(message([&] { o.boolean("zero"); }), HasSubstr("true or false"));
  EXPECT_THAT(message([&] { o.number("hidden_size"); }), HasSubstr("a number"));
  EXPECT_THAT(message([&] { o.string_or("zero", ""); }), HasSubstr("a string"));
  EXPECT_THAT(message([&] { o.string("none"); }), HasSubstr("key 'none' is missing"));
}

TEST(Json, DeepNestingIsRefused) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "a.json"));
  for (const std::size_t depth : {std::size_t{65}, std::size_t{10'000'000}})
    EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_json(nested(depth), "a.json"); }), "a.json: nested more than 64 deep");
}

}  // namespace
}  // namespace expunge
