// White space and capitals, as Python 3.11 gives them.
#include "inference/python_text.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace expunge {
namespace {

TEST(PythonText, StripsWhatPythonTakesForWhiteSpace) {
  EXPECT_EQ(stripped(" \t\n\v\f\r\x1c\x1f\u0085\u00a0\u2003\u3000 a b \u2029\u202f\x1e "), "a b");
  EXPECT_EQ(stripped("\u00a0 \n"), "");
  EXPECT_EQ(stripped(""), "");
  EXPECT_EQ(right_stripped("\u00a0a\v\u3000"), "\u00a0a");
  EXPECT_EQ(stripped("\u200ba\ufeff"), "\u200ba\ufeff");  // of no width, and no white space
}

TEST(PythonText, MakesOneLetterCapitalAndAllOthersSmall) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"he Then", "He then"},
      {"THEY ALL", "They all"},
      {" he", " he"},
      {"\"He SAID", "\"he said"},
      {"3 Men", "3 men"},
      {"\u00e9MILE \u00c9", "\u00c9mile \u00e9"},
      {"\u01c6ep", "\u01c5ep"},  // a letter with a form of its own for titles
      {"\u00dfen", "Ssen"},
      {"\ufb01ne", "Fine"},
      {"\u0130zmir \u0130s", "\u0130zmir i\u0307s"},
      {"\u0410\u0411", "\u0410\u0431"},
      {"\U00010428\U00010400", "\U00010400\U00010428"},
      // Sigma has a small form for the end of a word.
      {"\u039f\u0394\u039f\u03a3", "\u039f\u03b4\u03bf\u03c2"},
      {"a \u03a3", "A \u03c3"},
      {"a\u03a3\u0301b \u03a3\u0391", "A\u03c3\u0301b \u03c3\u03b1"},
      {"\u03b1\u03a3'", "\u0391\u03c2'"},
  };
  for (const auto& [text, capital] : cases) EXPECT_EQ(capitalized(text), capital) << text;
}

}  // namespace
}  // namespace expunge
