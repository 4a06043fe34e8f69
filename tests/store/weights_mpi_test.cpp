// How much of a model's file each rank reads: its shard, and hardly more.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "io/hash.h"
#include "io/safetensors.h"
#include "model/llama.h"
#include "store/weights.h"
#include "support/mpi_session.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

/// A file, and which of it the system holds in memory.
class WatchedFile {
 public:
  explicit WatchedFile(const std::filesystem::path& path)
      : bytes_(std::filesystem::file_size(path)), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~WatchedFile() { ::close(file_); }
  WatchedFile(const WatchedFile&) = delete;
  void drop() const {
    ASSERT_EQ(::fsync(file_), 0);
    ASSERT_EQ(::posix_fadvise(file_, 0, 0, POSIX_FADV_DONTNEED), 0);
  }
  /// The share of the file's pages that somebody read since drop().
  double share_in_memory() const {
    void* const map = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file_, 0);
    EXPECT_NE(map, MAP_FAILED);
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages((bytes_ + page - 1) / page);
    EXPECT_EQ(::mincore(map, bytes_, pages.data()), 0);
    ::munmap(map, bytes_);
    const auto there = std::ranges::count_if(pages, [](unsigned char state) { return (state & 1) != 0; });
    return static_cast<double>(there) / static_cast<double>(pages.size());
  }

 private:
  std::size_t bytes_;
  int file_;
};

/// 12 MB in bfloat16: many pages to a tensor.
void write_model(const TemporaryFolder& folder) {
  folder.write("config.json", R"({"model_type": "llama", "hidden_size": 256, "intermediate_size": 1024, "vocab_size": 4000,
      "num_hidden_layers": 4, "num_attention_heads": 4, "torch_dtype": "bfloat16"})");
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const UnitLayout& unit : llama_units(read_llama_config(folder / "config.json"), 1))
    for (const ParameterView& view : unit.views()) tensors.push_back({view.name, view.shape});
  // As transformers has them, which is not the order of the units.
  std::ranges::sort(tensors, {}, &SafetensorsWriter::Tensor::name);
  SafetensorsWriter writer(folder / "model.safetensors", DType::bfloat16, tensors);
  for (const SafetensorsWriter::Tensor& tensor : tensors) {
    const std::vector<double> values(tensor.elements(), 0.5);
    writer.append(values.data(), values.size());
  }
  writer.finish();
}

TEST(WeightsSource, ARankReadsItsShardOfTheFile) {
  const Runtime& runtime = test_session().runtime();
  const TemporaryFolder folder;  // of this rank: what others read of their files does not show
  write_model(folder);
  const std::string sha256 = sha256_file(folder / "model.safetensors");
  const WatchedFile file(folder / "model.safetensors");
  file.drop();
  if (all_reduce(runtime, file.share_in_memory(), Reduce::max) > 0)
    GTEST_SKIP() << "the temporary folder's file system keeps files in memory";

  const WeightsSource source = locate_model(runtime, folder.path());
  const std::vector<UnitLayout> units = llama_units(source.config, runtime.comm.size());
  EXPECT_EQ(model_sha256(source, runtime, units), sha256);
  ShardedParams<float> params(runtime, units, {true, true, false}, true);
  load_weights(source, 0, false, params);
  const double shard = 1.0 / runtime.comm.size(), read = file.share_in_memory();
  EXPECT_LE(read, shard + 0.05);
  EXPECT_GE(read, shard - 0.02);  // so the measure can tell
}

}  // namespace
}  // namespace expunge
