// Fuzzes files of --sample-order: every item of an accepted order exists.
#include "run/options.h"
#include "target.h"
#include "training/training_data.h"

namespace expunge::fuzz {
namespace {

constexpr int kSequences = 12;

const TokenFile& tokens() {
  static const TokenFile file = [] {
    TokenFileWriter writer(folder() / "tokens.h5", {"hash", 10, 8});
    writer.begin_split("books", "forget");
    for (int i = 0; i < kSequences; ++i) writer.add_document(std::vector<std::int32_t>{1, 2, 3, 4, 5});
    writer.end_split("source", "hash");
    writer.finish();
    return TokenFile(folder() / "tokens.h5");
  }();
  return file;
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge;
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  SampleOptions config;
  config.order = folder().write("order.txt", text(data, size));
  accepts("order.txt", [&] {
    TrainingData training(tokens(), {{"books/forget", Role::forget}}, config, 10);
    for (std::uint64_t position = 0; position < size; ++position)
      require(training.item(position) < kSequences, "an item of the order exists");
  });
  return 0;
}
