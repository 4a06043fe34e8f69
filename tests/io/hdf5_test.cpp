// HDF5: what is written is read back, flat ranges, virtual datasets, and every kind of wrong or damaged file.
#include "io/hdf5.h"

#include <gmock/gmock.h>
#include <hdf5.h>

#include <numeric>
#include <random>

#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::vector<T> counting(std::size_t n, T first = 0) {
  std::vector<T> values(n);
  std::iota(values.begin(), values.end(), first);
  return values;
}

template <typename T>
class Elements : public testing::Test {};
using ElementTypes = testing::Types<float, double, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;
TYPED_TEST_SUITE(Elements, ElementTypes);

TYPED_TEST(Elements, RoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  Hdf5File file = Hdf5File::create(path);
  file.create_dataset<TypeParam>("/g/h/whole", {2, 3, 4});
  file.create_dataset<TypeParam>("/g/fixed", {10});
  file.write<TypeParam>("/g/fixed", 4, counting<TypeParam>(6, 4));
  file.write<TypeParam>("/g/fixed", 0, counting<TypeParam>(4));
  file.create_extendible<TypeParam>("/grow", 4);
  file.append<TypeParam>("/grow", counting<TypeParam>(5));
  file.append<TypeParam>("/grow", {});
  file.append<TypeParam>("/grow", counting<TypeParam>(4, 5));
  file.close();

  const Hdf5File read = Hdf5File::open(path);
  EXPECT_EQ(read.read_all<TypeParam>("/g/fixed"), counting<TypeParam>(10));
  EXPECT_EQ(read.read_all<TypeParam>("/grow"), counting<TypeParam>(9));
  EXPECT_THAT(read.shape("/g/h/whole"), ElementsAre(2, 3, 4));
  EXPECT_EQ(read.size<TypeParam>("/g/h/whole"), 24u);
}

TEST(Hdf5, TruncatesAnExtendibleDataset) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.create_extendible<double>("/x", 4);
  file.append<double>("/x", counting<double>(9));
  file.truncate("/x", 3);
  file.append<double>("/x", counting<double>(2, 3));
  EXPECT_EQ(file.read_all<double>("/x"), counting<double>(5));
}

TEST(Hdf5, GroupsAndAttributes) {
  const TemporaryFolder folder;
  const std::string text = "naïve ☃ " + std::string(100000, 'x');  // longer than an attribute's own limit of 64 KiB
  {
    Hdf5File file = Hdf5File::create(folder / "a.h5");
    file.create_group("/b/c");
    file.create_group("/b/c");
    file.create_group("/a");
    file.create_dataset<float>("/b/d", {1});
    file.write_attribute("/", "text", text);
    file.write_attribute("/b", "int", std::int64_t{-1} << 62);
    file.write_attribute("/b", "uint", ~std::uint64_t{0});
    file.write_attribute("/b/d", "double", 0.1);
    file.write_attribute("/b/d", "double", 0.2);
    file.close();
  }
  const Hdf5File file = Hdf5File::open(folder / "a.h5");
  EXPECT_THAT(file.children("/"), ElementsAre("a", "b"));
  EXPECT_THAT(file.children("/b"), ElementsAre("c", "d"));
  EXPECT_TRUE(file.exists("/b/c"));
  EXPECT_FALSE(file.exists("/b/e/f"));
  EXPECT_FALSE(file.exists("/b/d/f"));
  EXPECT_TRUE(file.is_group("/b/c"));
  EXPECT_FALSE(file.is_group("/b/d"));
  EXPECT_FALSE(file.is_group("/none"));
  EXPECT_EQ(file.read_attribute<std::string>("/", "text"), text);
  EXPECT_EQ(file.read_attribute<std::int64_t>("/b", "int"), std::int64_t{-1} << 62);
  EXPECT_EQ(file.read_attribute<std::uint64_t>("/b", "uint"), ~std::uint64_t{0});
  EXPECT_EQ(file.read_attribute<double>("/b/d", "double"), 0.2);
  EXPECT_FALSE(file.has_attribute("/b", "none"));
}

TEST(Hdf5, FlatRangesOfAMatrix) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kHeight = 5, kWidth = 7, kAll = kHeight * kWidth;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.create_dataset<std::int32_t>("/x", {kHeight, kWidth});
  for (std::uint64_t begin = 0; begin < kAll; begin += 11) {
    file.write<std::int32_t>("/x", begin, counting<std::int32_t>(std::min<std::size_t>(11, kAll - begin), int(begin)));
  }
  for (std::uint64_t begin = 0; begin <= kAll; ++begin) {
    for (std::uint64_t count = 0; begin + count <= kAll; ++count) {
      std::vector<std::int32_t> got(count);
      file.read<std::int32_t>("/x", begin, got);
      ASSERT_EQ(got, counting<std::int32_t>(count, int(begin))) << begin << " + " << count;
    }
  }
}

/// Files s0.h5, s1.h5, ... in sub/ that hold the numbers 0, 1, 2, ... cut at random, and sub/v.h5 with a view of all of them.
std::filesystem::path write_virtual(const TemporaryFolder& folder, const std::vector<std::uint64_t>& shape, int sources,
                                    unsigned seed) {
  std::filesystem::create_directories(folder / "sub");
  const std::uint64_t total = std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
  std::mt19937 random(seed);
  std::vector<VirtualRange> ranges;
  std::uint64_t begin = 0;
  for (int s = 0; s < sources; ++s) {
    const std::uint64_t count = s + 1 == sources ? total - begin : random() % (total - begin + 1);
    const std::string name = "s" + std::to_string(s) + ".h5";
    Hdf5File source = Hdf5File::create(folder / "sub/" / name);
    source.create_dataset<float>("/part", {count + 3});  // three elements that belong to nobody
    source.write<float>("/part", 2, counting<float>(count, float(begin)));
    source.close();
    ranges.push_back({name, "/part", 2, begin, count});
    begin += count;
  }
  Hdf5File file = Hdf5File::create(folder / "sub/v.h5");
  file.create_virtual<float>("/all/w", shape, ranges);
  file.close();
  return folder / "sub/v.h5";
}

TEST(Hdf5, VirtualDatasetsJoinFiles) {
  unsigned seed = 0;
  for (const std::vector<std::uint64_t>& shape : {std::vector<std::uint64_t>{60}, {6, 10}, {60, 1}, {1, 60}, {13, 3}}) {
    for (int sources = 1; sources <= 5; ++sources) {
      const TemporaryFolder folder;
      const Hdf5File file = Hdf5File::open_index(write_virtual(folder, shape, sources, ++seed));
      const std::uint64_t total = file.size<float>("/all/w");
      EXPECT_EQ(file.shape("/all/w"), shape);
      EXPECT_EQ(file.read_all<float>("/all/w"), counting<float>(total));
      std::vector<float> part(total / 2);
      file.read<float>("/all/w", total / 3, part);
      EXPECT_EQ(part, counting<float>(part.size(), float(total / 3)));
    }
  }
}

TEST(Hdf5, SourcesAreFoundBesideTheVirtualFile) {
  const TemporaryFolder folder, elsewhere;
  const auto path = write_virtual(folder, {6, 10}, 2, 1);
  Hdf5File decoy = Hdf5File::create(elsewhere / "s0.h5");  // where the process runs, a file of the same name
  decoy.create_dataset<float>("/part", {63});
  decoy.write<float>("/part", 0, std::vector<float>(63, -1.0f));
  decoy.close();
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(elsewhere.path());
  const auto values = Hdf5File::open_index(path).read_all<float>("/all/w");
  std::filesystem::rename(folder / "sub", folder / "moved");
  const auto moved = Hdf5File::open_index(folder / "moved/v.h5").read_all<float>("/all/w");
  std::filesystem::current_path(before);
  EXPECT_EQ(values, counting<float>(60));
  EXPECT_EQ(moved, counting<float>(60));
}

TEST(Hdf5, MissingOrShortSourcesAreErrors) {
  const TemporaryFolder folder;
  const auto path = write_virtual(folder, {6, 10}, 2, 1);
  const auto read = [&] { Hdf5File::open_index(path).read_all<float>("/all/w"); };
  const std::string source = slurp(folder / "sub/s1.h5");

  std::filesystem::remove(folder / "sub/s1.h5");
  EXPECT_THAT(error_of(ExitCode::bad_input, read), AllOf(HasSubstr("s1.h5"), HasSubstr("No such file")));
  folder.write("sub/s1.h5", source.substr(0, source.size() - 1));
  EXPECT_THAT(error_of(ExitCode::bad_input, read), AllOf(HasSubstr("s1.h5"), HasSubstr("truncated")));
  std::filesystem::remove(folder / "sub/s1.h5");
  Hdf5File other = Hdf5File::create(folder / "sub/s1.h5");
  other.create_dataset<float>("/other", {3});
  other.flush();
  EXPECT_THAT(error_of(ExitCode::bad_input, read), AllOf(HasSubstr("s1.h5: /part"), HasSubstr("no such dataset")));
  other.create_dataset<float>("/part", {2});
  other.close();
  EXPECT_THAT(error_of(ExitCode::bad_input, read), AllOf(HasSubstr("s1.h5"), HasSubstr("has shape (2), expected")));
  folder.write("sub/s1.h5", source);
  EXPECT_NO_THROW(read());

  Hdf5File gap = Hdf5File::create(folder / "sub/gap.h5");
  gap.create_virtual<float>("/w", {60}, {{"s0.h5", "/part", 2, 0, 1}});
  gap.flush();
  const auto with_gap = [&] { Hdf5File::open_index(folder / "sub/gap.h5").read_all<float>("/w"); };
  EXPECT_THAT(error_of(ExitCode::bad_input, with_gap), HasSubstr("hold 1 of 60"));
  for (const std::uint64_t count : {std::uint64_t{2}, ~std::uint64_t{0}}) {
    const std::vector<VirtualRange> outside = {{"s0.h5", "/part", 2, 59, count}};
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { gap.create_virtual<float>("/x", {60}, outside); }),
                HasSubstr("found 60 elements"));
  }
}

TEST(Hdf5, WrongObjectsAreNamed) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.create_dataset<float>("/f", {4});
  file.write<float>("/f", 0, counting<float>(4));
  file.create_dataset<float>("/cube", {2, 2, 2});
  file.write_attribute("/f", "s", std::string("text"));
  const auto message = [&](const auto& action) { return error_of(ExitCode::bad_input, action); };
  EXPECT_THAT(message([&] { file.read_all<std::int32_t>("/f"); }), HasSubstr("a.h5: /f: expected int32, found float32"));
  EXPECT_THAT(message([&] { file.read_all<double>("/f"); }), HasSubstr("expected float64, found float32"));
  EXPECT_THAT(message([&] { file.read_all<float>("/none/x"); }), HasSubstr("/none/x: there is no such dataset"));
  EXPECT_THAT(message([&] { file.children("/f"); }), HasSubstr("no such group"));
  EXPECT_THAT(message([&] { file.read_attribute<double>("/f", "s"); }), HasSubstr("expected float64, found string"));
  EXPECT_THAT(message([&] { file.read_attribute<std::string>("/f", "none"); }),
              HasSubstr("/f@none: there is no such attribute"));
  std::vector<float> five(5), one(1);
  EXPECT_THAT(message([&] { file.read<float>("/f", 0, five); }), HasSubstr("expected elements 0 to 5, found 4"));
  EXPECT_THAT(message([&] { file.read<float>("/f", ~std::uint64_t{0}, one); }), HasSubstr("found 4 elements"));
  EXPECT_THAT(message([&] { file.read<float>("/cube", 0, one); }), HasSubstr("expected 1 or 2 dimensions, found 3"));
}

TEST(Hdf5, AHugeClaimIsNotAllocated) {
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.create_extendible<float>("/x", 1024);
  file.truncate("/x", std::uint64_t{1} << 60);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { file.read_all<float>("/x"); }), HasSubstr("does not fit the 0 bytes"));
}

TEST(Hdf5, FilesThatAreNotHdf5) {
  const TemporaryFolder folder;
  const auto open = [&](const char* name) { return error_of(ExitCode::bad_input, [&] { Hdf5File::open(folder / name); }); };
  EXPECT_THAT(open("none.h5"), AllOf(HasSubstr("none.h5"), HasSubstr("No such file or directory")));
  folder.write("text.h5", std::string(5000, 'x'));
  EXPECT_THAT(open("text.h5"), HasSubstr("file signature not found"));
  folder.write("empty.h5", "");
  EXPECT_THAT(open("empty.h5"), HasSubstr("empty.h5"));
  std::filesystem::create_directory(folder / "folder.h5");
  EXPECT_THAT(open("folder.h5"), HasSubstr("it is a folder"));
  Hdf5File file = Hdf5File::create(folder / "a.h5");
  file.create_dataset<float>("/x", {1000});
  file.write<float>("/x", 0, counting<float>(1000));
  file.close();
  const std::string whole = slurp(folder / "a.h5");
  for (const std::size_t size : {std::size_t{8}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    folder.write("cut.h5", whole.substr(0, size));
    EXPECT_THAT(open("cut.h5"), HasSubstr("cut.h5")) << size;
  }
}

TEST(Hdf5, CreatesOnlyNewFiles) {
  const TemporaryFolder folder;
  folder.write("a.h5", "precious");
  EXPECT_THAT(error_of(ExitCode::output, [&] { Hdf5File::create(folder / "a.h5"); }), HasSubstr("File exists"));
  EXPECT_EQ(slurp(folder / "a.h5"), "precious");
  EXPECT_THAT(error_of(ExitCode::output, [&] { Hdf5File::create(folder / "none/a.h5"); }), HasSubstr("No such file"));
}

TEST(Hdf5, NoHandleStaysOpenAfterErrors) {
  const TemporaryFolder folder;
  {
    Hdf5File file = Hdf5File::open_index(write_virtual(folder, {6, 10}, 2, 1));
    EXPECT_THROW(file.read_all<double>("/all/w"), Error);
    EXPECT_THROW(file.read_attribute<double>("/all", "none"), Error);
    std::filesystem::remove(folder / "sub/s1.h5");
    EXPECT_THROW(file.read_all<float>("/all/w"), Error);
  }
  EXPECT_EQ(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

TEST(Hdf5, AFullDiskIsReported) {
  // Enough room for one of the three ways to fill it to get past its first writes.
  const TinyDisk disk(300 << 10);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  const auto path = disk.folder() / "a.h5";
  const std::vector<float> block(4096, 1.0f);
  const auto attempt = [&](const std::function<void(Hdf5File&)>& fill) {
    std::filesystem::remove(path);
    const std::string message = error_of(ExitCode::output, [&] {
      Hdf5File file = Hdf5File::create(path);
      fill(file);
      file.close();
    });
    EXPECT_THAT(message, AllOf(HasSubstr("a.h5"), HasSubstr("No space left on device")));
  };
  attempt([&](Hdf5File& file) {  // data of a fixed size
    file.create_dataset<float>("/x", {100 * block.size()});
    for (std::uint64_t i = 0; i < 100; ++i) file.write<float>("/x", i * block.size(), block);
  });
  attempt([&](Hdf5File& file) {  // chunks, which HDF5 caches
    file.create_extendible<float>("/x", block.size());
    for (int i = 0; i < 100; ++i) file.append<float>("/x", block);
  });
  attempt([&](Hdf5File& file) {  // names and attributes alone
    for (int i = 0; i < 1000; ++i) file.write_attribute("/", "attribute " + std::to_string(i), std::string(1000, 'x'));
  });
  // The library must still work, and end the process without a crash.
  const TemporaryFolder folder;
  Hdf5File file = Hdf5File::create(folder / "b.h5");
  file.create_dataset<float>("/x", {block.size()});
  file.write<float>("/x", 0, block);
  file.close();
  EXPECT_EQ(Hdf5File::open(folder / "b.h5").read_all<float>("/x"), block);
}

}  // namespace
}  // namespace expunge
