// The answers to GSM8K as the Language Model Evaluation Harness finds and compares them.
#pragma once

#include <string>
#include <string_view>

namespace expunge {

/// The compared part of an answer: the text after its last "#### ", without commas, dollars and one full stop at the end.
std::string gsm8k_compared(std::string_view answer);

/// The harness's filter strict-match: the first number after "#### ", in compared form; empty without one.
std::string gsm8k_strict(std::string_view completion);
/// The harness's filter flexible-extract: the last number of all, in compared form; empty without one.
std::string gsm8k_flexible(std::string_view completion);

}  // namespace expunge
