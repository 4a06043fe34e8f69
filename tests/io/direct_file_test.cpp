// Data that are written into an HDF5 file past the page cache: the library reads what was written, whatever sizes and places.
#include "io/direct_file.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "expunge/error.h"
#include "io/hdf5.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

TEST(DirectFile, TheLibraryReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder / "data.h5";
  // Less than a block, blocks and more, whole blocks, more than one piece.
  const std::vector<std::uint64_t> sizes = {1, 700, 1024, 5000, 8192, (std::uint64_t{5} << 20) / sizeof(float) + 3, 64};
  std::vector<std::uint64_t> offsets;
  std::vector<std::vector<float>> data;
  Hdf5File made = Hdf5File::create(path, DirectFile::kBlock);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    offsets.push_back(made.allocate_dataset<float>("/group/" + std::to_string(i), sizes[i]));
    data.emplace_back(sizes[i]);
    std::iota(data.back().begin(), data.back().end(), static_cast<float>(1000 * i));
    if (sizes[i] * sizeof(float) >= DirectFile::kBlock) {
      EXPECT_EQ(offsets[i] % DirectFile::kBlock, 0U) << i;
    }
  }
  made.close();
  DirectFile direct(path);
  const std::uint64_t before = direct.size();
  for (std::size_t i = 0; i < sizes.size(); ++i) direct.write(offsets[i], std::as_bytes(std::span(data[i])));
  direct.sync();
  EXPECT_EQ(direct.size(), before);
  const Hdf5File read = Hdf5File::open(path);
  for (std::size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(read.read_all<float>("/group/" + std::to_string(i)), data[i]) << i;
  std::vector<float> back(sizes[3]);
  direct.read(offsets[3], std::as_writable_bytes(std::span(back)));
  EXPECT_EQ(back, data[3]);
}

TEST(DirectFile, AFileThatIsNotThereIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THROW(DirectFile(folder / "none"), Error);
}

}  // namespace
}  // namespace expunge
