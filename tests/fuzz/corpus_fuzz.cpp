// Fuzzes text corpora, plain and compressed: documents are valid UTF-8 and no longer than what was read.
#include "core/text.h"
#include "data/corpus.h"
#include "data/json_lines.h"
#include "io/hash.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

void check(const std::string& name, std::string_view input) {
  const auto path = folder().write(name, input);
  accepts(name, [&] {
    CorpusReader reader({path}, "");
    std::string document;
    while (reader.next(document)) {
      require(valid_utf8_length(document) == document.size(), "a document is valid UTF-8");
      require(name.ends_with(".gz") || document.size() <= input.size(), "a document is no longer than its file");
    }
    Sha256 hash;
    hash.update(input);
    require(reader.source_sha256() == hash.hex(), "the hash is that of the file");
  });
  if (name.ends_with(".txt")) return;
  accepts(name, [&] { require(!read_json_lines(path).objects.empty(), "there is an object"); });
}

}  // namespace
}  // namespace expunge::fuzz

/// The first byte says as what kind of file the others are read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  constexpr const char* kNames[] = {"a.jsonl", "a.jsonl.gz", "a.txt"};
  constexpr std::size_t kBestCompression = 1032;
  const TimeBudget budget(size > 0 && data[0] % 3 == 1 ? kBestCompression * size : size);
  if (size > 0) check(kNames[data[0] % 3], text(data + 1, size - 1));
  return 0;
}
