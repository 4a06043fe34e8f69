// The regular expressions of the harness's task gsm8k, version 3.
#include "inference/gsm8k_filters.h"

#include <re2/re2.h>

#include <algorithm>

namespace expunge {
namespace {

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string gsm8k_compared(std::string_view answer) {
  std::string text(answer);
  std::erase_if(text, [](char c) { return c == ',' || c == '$'; });
  constexpr std::string_view kMark = "#### ";
  if (const std::size_t mark = text.rfind(kMark); mark != std::string::npos) text.erase(0, mark + kMark.size());
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string gsm8k_strict(std::string_view completion) {
  // Latin1, because a model's text need not be UTF-8.
  static const RE2 expression(R"(#### (-?[0-9.,]+))", RE2::Latin1);
  std::string found;
  RE2::PartialMatch(piece(completion), expression, &found);
  return gsm8k_compared(found);
}

std::string gsm8k_flexible(std::string_view completion) {
  static const RE2 expression(R"((-?[$0-9.,]{2,}|-?[0-9]+))", RE2::Latin1);
  re2::StringPiece rest = piece(completion);
  std::string found, last;
  while (RE2::FindAndConsume(&rest, expression, &found)) last = found;
  return gsm8k_compared(last);
}

}  // namespace expunge
