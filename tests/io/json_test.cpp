// JSON: positions in errors, kinds of values, absent keys.
#include "io/json.h"

#include <gmock/gmock.h>

#include "support/growth.h"
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
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { parse_json_file(file, 5); }), HasSubstr("expected at most 5"));
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
  const JsonObject o = object(R"({"hidden_size": "x", "big": 18446744073709551615, "zero": 0, "half": 0.5, "none": null})");
  const auto message = [&](const auto& read) { return error_of(ExitCode::bad_input, read); };
  EXPECT_EQ(message([&] { o.integer("hidden_size", 1); }),
            "config.json: key 'hidden_size': expected a positive integer, found \"x\"");
  EXPECT_THAT(message([&] { o.integer("big", 1); }), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(message([&] { o.integer("zero", 1); }), HasSubstr("positive"));
  EXPECT_THAT(message([&] { o.integer("half", 0, 5); }), HasSubstr("an integer of at least 0, at most 5, found 0.5"));
  EXPECT_THAT(message([&] { o.boolean("zero"); }), HasSubstr("true or false"));
  EXPECT_THAT(message([&] { o.number("hidden_size"); }), HasSubstr("a number"));
  EXPECT_THAT(message([&] { o.string_or("zero", ""); }), HasSubstr("a string"));
  EXPECT_THAT(message([&] { o.string("none"); }), HasSubstr("key 'none' is null"));
  EXPECT_THAT(message([&] { o.string("nowhere"); }), HasSubstr("key 'nowhere' is missing"));
}

TEST(Json, DeepNestingIsRefused) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "a.json"));
  for (const std::size_t depth : {std::size_t{65}, std::size_t{10'000'000}})
    EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_json(nested(depth), "a.json"); }), "a.json: nested more than 64 deep");
}

/// `count` times the text that `part` gives for 0, 1, ..., between brackets.
template <typename Part>
std::string series(const char* begin, std::size_t count, const Part& part, const char* end) {
  std::string text = begin;
  for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? "," : "") + part(i);
  return text + end;
}

std::string number(std::size_t i) { return std::to_string(i); }

TEST(Json, ParsingTakesLinearTime) {
  const auto parse = [](const std::string& text) { parse_json(text, "a.json"); };
  using Make = std::string (*)(std::size_t);
  const Make shapes[] = {
      [](std::size_t n) {
        return series(
            "{", n, [](auto i) { return "\"t" + number(i) + "\":{\"a\":[0,{}]}"; }, "}");
      },
      [](std::size_t n) {
        return series(
            "[", n, [](auto) { return std::string("{}"); }, "]");
      },
      [](std::size_t n) {
        return series(
            "{\"a\":{\"b\":[", n, [](auto i) { return "{\"k\":" + number(i) + "}"; }, "]}}");
      },
      [](std::size_t n) { return "[\"" + std::string(40 * n, 'x') + "\"]"; },
      [](std::size_t n) {
        return series(
            "[\"", 4 * n, [](auto) { return std::string("\\u00e9\\n"); }, "\"]");
      },
      [](std::size_t n) { return "[0." + std::string(40 * n, '7') + "]"; },
      [](std::size_t n) {
        return series(
            "[", n, [](auto) { return std::string(60, '[') + std::string(60, ']'); }, "]");
      },
  };
  for (const Make make : shapes) expect_linear_time(10'000, make, parse);
}

TEST(Json, OrderedParsingTakesLinearTime) {
  const auto make = [](std::size_t n) {
    return series(
        "{", n, [](auto i) { return "\"key" + number(i) + "\":{\"a\":" + number(i) + "}"; }, "}");
  };
  expect_linear_time(5'000, make, [](const std::string& text) { parse_ordered_json(text, "a.json"); });
}

TEST(Json, OrderedParsingKeepsTheOrder) {
  const auto ordered = parse_ordered_json(R"({"z": 1, "a": {"y": [{"x": 2, "b": null}]}, "c": true})", "a.json");
  EXPECT_EQ(ordered.dump(), R"({"z":1,"a":{"y":[{"x":2,"b":null}]},"c":true})");
  EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_ordered_json("[1,", "a.json"); }).find("a.json: not valid JSON"), 0u);
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  append_member(object, "b", 1);
  append_member(object, "a", {2, 3});
  EXPECT_EQ(object.dump(), R"({"b":1,"a":[2,3]})");
}

TEST(Json, AppendingMembersTakesLinearTime) {
  const auto make = [](std::size_t n) { return n; };
  expect_linear_time(5'000, make, [](std::size_t n) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < n; ++i) append_member(object, "model.layers.weight" + number(i), i);
  });
}

TEST(Json, TheLibraryAgrees) {
  for (const char* text :
       {"null", "true", "-1", "18446744073709551615", "1.5e3", "\"a\\u00e9\"", "[]", "{}", "[[],{},[{}],\"\",{\"a\":[]}]",
        R"({"a": {"b": {"c": [1, 2, {"d": null}], "e": {}}, "f": 1}, "g": {"h": [true, false]}})"}) {
    EXPECT_EQ(parse_json(text, "a.json"), nlohmann::json::parse(text)) << text;
    EXPECT_EQ(parse_ordered_json(text, "a.json").dump(), nlohmann::ordered_json::parse(text).dump()) << text;
  }
}

TEST(Json, KeepsWantedMembersAlone) {
  const JsonRules rules{.wanted = {"a", "n"}};
  EXPECT_EQ(parse_json(R"({"b": [{"a": 1}], "a": {"b": [2]}, "c": 3, "n": null, "d": {}})", "x", rules),
            parse_json(R"({"a": {"b": [2]}, "n": null})", "x"));
  EXPECT_EQ(parse_json(R"({"b": 1, "a": 2, "b": 0})", "x", rules), parse_json(R"({"a": 2})", "x"));
  EXPECT_EQ(parse_json(R"([{"b": 1}, {"a": 2}])", "x", rules), parse_json(R"([{"b": 1}, {"a": 2}])", "x"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { parse_json(R"({"b": [[}], "a": 1})", "x", rules); }),
              HasSubstr("x: not valid JSON"));
}

TEST(Json, RepeatedKeysAreRefused) {
  const std::string refusal = "x: has \"a\" twice in one object; leave one out";
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]})", "x"));
  for (const char* text : {R"({"a": 1, "a": 1})", R"([{"b": {"a": {}, "a": {}}}])"}) {
    EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_json(text, "x"); }), refusal);
    EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_ordered_json(text, "x"); }), refusal);
  }
}

TEST(Json, HoldsALimitedNumberOfValues) {
  const auto zeros = [](std::size_t n) {
    return series(
        "[", n, [](auto) { return std::string("0"); }, "]");
  };
  EXPECT_NO_THROW(parse_json(zeros(kJsonValues - 1), "a.json"));
  EXPECT_EQ(error_of(ExitCode::bad_input, [&] { parse_json(zeros(kJsonValues), "a.json"); }),
            "a.json: holds more than 4194304 values");
  EXPECT_THAT(
      error_of(ExitCode::bad_input, [&] { parse_json("{\"b\": " + zeros(kJsonValues) + "}", "a.json", {.wanted = {"a"}}); }),
      HasSubstr("holds more than"));
}

}  // namespace
}  // namespace expunge
