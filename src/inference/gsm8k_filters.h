// How the Language Model Evaluation Harness finds and compares the answers to GSM8K.
#pragma once

#include <string>
#include <string_view>

namespace expunge {

/// What is compared of an answer: what lies behind its last "#### ", without commas, dollars and one full stop at the end.
std::string gsm8k_compared(std::string_view answer);

/// The harness's filter strict-match: the first number behind "#### ", as it is compared; empty where there is none.
std::string gsm8k_strict(std::string_view completion);
/// The harness's filter flexible-extract: the last number of all, as it is compared; empty where there is none.
std::string gsm8k_flexible(std::string_view completion);

}  // namespace expunge
