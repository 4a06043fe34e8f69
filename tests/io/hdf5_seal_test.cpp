// The seal of a file: right until any byte changes, and made anew with each row that a table takes.
#include "io/hdf5_seal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "expunge/error.h"
#include "io/columns.h"
#include "io/hash.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

void expect_sealed(const std::filesystem::path& path) {
  const Seal seal = read_seal(path);
  EXPECT_EQ(seal.state, Seal::State::whole);
  EXPECT_EQ(seal.sha256.size(), 64U);
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
  for (std::size_t at = 0; at < whole.size(); at += 13) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(path, std::ios::binary) << changed;
    // The name of the attribute may be what changed.
    const bool named = changed.find(kSeal) != std::string::npos;
    EXPECT_EQ(read_seal(path).state, named ? Seal::State::broken : Seal::State::none) << "byte " << at;
  }
}

TEST(Seal, WhatIsBrokenNeverReachesTheLibrary) {
  const TemporaryFolder folder;
  const auto path = folder / "table.h5";
  const Columns table(path, {{"/step", Columns::Kind::int64}});
  std::string bytes = read_file(path, 1 << 20);
  const std::size_t heap = bytes.find("GCOL");
  ASSERT_NE(heap, std::string::npos);
  bytes[heap + 24] ^= 16;  // the size of a string in the heap: HDF5 1.10 walks it for ever
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_THROW((void)open_sealed(path), Error);
}

TEST(Seal, AFileWithoutOneIsOpened) {
  const TemporaryFolder folder;
  const auto path = folder / "file.h5";
  Hdf5File::create(path).close();
  EXPECT_EQ(read_seal(path).state, Seal::State::none);
  EXPECT_NO_THROW((void)open_sealed(path));
}

TEST(Seal, IsTheHashOfTheFileWithZerosInItsPlace) {
  const TemporaryFolder folder;
  const auto path = folder / "file.h5";
  PendingFile pending(path);
  Hdf5File file = Hdf5File::create(pending.temporary());
  file.write_attribute("/", "version", std::string("1"));
  commit_sealed(file, pending);
  const std::string named = read_seal(path).sha256;
  std::string bytes = read_file(path, 1 << 20);
  bytes.replace(bytes.find(named), named.size(), 64, '0');
  EXPECT_EQ(sha256_text(bytes), named);
}

}  // namespace
}  // namespace expunge
