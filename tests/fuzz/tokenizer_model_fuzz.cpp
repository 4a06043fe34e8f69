// Fuzzes tokenizer.model.
#include "inference/token_checks.h"
#include "tokenizer_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  folder().write("tokenizer.model", text(data, size));
  check_tokenizer();
  return 0;
}
