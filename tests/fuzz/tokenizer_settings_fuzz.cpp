// Fuzzes the JSON files of a tokenizer beside a sentencepiece model.
#include <array>

#include "inference/token_checks.h"
#include "tokenizer_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  constexpr std::array kFiles = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json"};
  static const std::string model = expunge::slurp(EXPUNGE_FIXTURES "/tokenizer/unknowns.model");
  folder().write("tokenizer.model", model);
  const std::vector<std::string> contents = parts(text(data, size), kFiles.size());
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    std::filesystem::remove(folder() / kFiles[i]);
    if (!contents[i].empty()) folder().write(kFiles[i], contents[i]);
  }
  check_tokenizer();
  return 0;
}
