// The seal of a file: right until any byte changes, and made anew with each row that a table takes.
#include "expunge/io/hdf5_seal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "expunge/core/error.h"
#include "expunge/io/columns.h"
#include "expunge/io/hash.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

void expect_sealed(const std::filesystem::path& path) {
  const Seal seal = read_seal(path);
  EXPECT_EQ(seal.named, seal.now);
  EXPECT_EQ(seal.named.size(), 64U);
}

TEST(Seal, HoldsUntilAnyByteChanges) {
  const TemporaryFolder folder;
  const auto path = folder / "table.h5";
  Columns table(path, {{"/step", Columns::Kind::int64}});
  for (std::int64_t step = 1; step <= 3; ++step) {
    const std::vector<Columns::Value> row{step};
    table.append_rows(std::span(&row, 1));
    expect_sealed(path);
  }
  table.annotate([](Hdf5File& file) { file.write_attribute("/", "host", std::string("a node")); });
  expect_sealed(path);
  table.truncate_after("/step", 1);
  expect_sealed(path);

  const std::string whole = read_file(path, 1 << 20);
  for (std::size_t at = 8; at < whole.size(); at += 97) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(path, std::ios::binary) << changed;
    try {
      const Seal seal = read_seal(path);
      EXPECT_NE(seal.named, seal.now) << "byte " << at;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input) << error.what();
    }
  }
}

TEST(Seal, IsTheHashOfTheFileWithZerosInItsPlace) {
  const TemporaryFolder folder;
  const auto path = folder / "file.h5";
  PendingFile pending(path);
  Hdf5File file = Hdf5File::create(pending.temporary());
  file.write_attribute("/", "version", std::string("1"));
  commit_sealed(file, pending);
  const std::string named = read_seal(path).named;
  std::string bytes = read_file(path, 1 << 20);
  bytes.replace(bytes.find(named), named.size(), 64, '0');
  Sha256 hash;
  hash.update(bytes);
  EXPECT_EQ(hash.hex(), named);
}

}  // namespace
}  // namespace expunge
