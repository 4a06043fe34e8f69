// HDF5 files made to mislead: links and data that leave the file, filters, odd types, claims that the file does not hold.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <numeric>

#include "io/hdf5.h"
#include "support/temporary_folder.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr hsize_t kSize = 60;

/// What makes a dataset of 60 floats unlike one of ours.
struct Odd {
  std::function<void(hid_t properties, hid_t space)> set = [](hid_t, hid_t) {};
  hid_t type = H5T_IEEE_F32LE;
};

/// a.h5 with a dataset /x, written through the library alone.
std::filesystem::path write_odd(const TemporaryFolder& folder, const Odd& odd) {
  const auto path = folder / "a.h5";
  std::filesystem::remove(path);
  Hdf5File::create(path).close();
  std::vector<float> values(kSize);
  std::iota(values.begin(), values.end(), 0.0f);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t space = H5Screate_simple(1, &kSize, nullptr), properties = H5Pcreate(H5P_DATASET_CREATE);
  odd.set(properties, space);
  const hid_t dataset = H5Dcreate2(file, "/x", odd.type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  EXPECT_GE(dataset, 0);
  if (H5Pget_layout(properties) != H5D_VIRTUAL && H5Pget_external_count(properties) == 0) {
    EXPECT_GE(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  }
  H5Dclose(dataset);
  H5Pclose(properties);
  H5Sclose(space);
  H5Fclose(file);
  return path;
}

std::string refusal(const Odd& odd) {
  const TemporaryFolder folder;
  const auto path = write_odd(folder, odd);
  return error_of(ExitCode::bad_input, [&] { Hdf5File::open(path).read_all<float>("/x"); });
}

std::vector<float> counting() {
  std::vector<float> values(kSize);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

TEST(UntrustedHdf5, WhatH5pyWritesIsRead) {
  const auto gzip = [](hid_t properties, hid_t) {
    const hsize_t chunk = 7;
    H5Pset_chunk(properties, 1, &chunk);
    H5Pset_shuffle(properties);
    H5Pset_deflate(properties, 4);
    H5Pset_fletcher32(properties);
  };
  const auto compact = [](hid_t properties, hid_t) { H5Pset_layout(properties, H5D_COMPACT); };
  for (const Odd& odd : {Odd{}, Odd{gzip}, Odd{compact}, Odd{.type = H5T_IEEE_F32BE}}) {
    const TemporaryFolder folder;
    EXPECT_EQ(Hdf5File::open(write_odd(folder, odd)).read_all<float>("/x"), counting());
  }
}

TEST(UntrustedHdf5, OtherFiltersAreRefused) {
  for (const bool nbit : {false, true}) {
    const auto set = [nbit](hid_t properties, hid_t) {
      const hsize_t chunk = 7;
      H5Pset_chunk(properties, 1, &chunk);
      nbit ? H5Pset_nbit(properties) : H5Pset_scaleoffset(properties, H5Z_SO_FLOAT_DSCALE, 2);
    };
    EXPECT_THAT(refusal({set}), HasSubstr("a.h5: /x: it is stored with another filter than gzip"));
  }
}

TEST(UntrustedHdf5, OddTypesAreRefused) {
  const hid_t narrow = H5Tcopy(H5T_IEEE_F32LE);  // a float of the right size, with another exponent
  H5Tset_ebias(narrow, 100);
  EXPECT_THAT(refusal({.type = narrow}), HasSubstr("expected float32, found an unusual one"));
  H5Tclose(narrow);
}

/// Makes /x show the first elements of /x in `source`: all 60, or as many as there are.
Odd shows(const char* source, bool endless) {
  return {[=](hid_t properties, hid_t space) {
    const hsize_t most = H5S_UNLIMITED, begin = 0, one = 1, *count = endless ? &most : &kSize;
    const hid_t from = H5Screate_simple(1, &kSize, &most);
    if (endless) H5Sset_extent_simple(space, 1, &kSize, &most);
    for (const hid_t each : {space, from})
      EXPECT_GE(H5Sselect_hyperslab(each, H5S_SELECT_SET, &begin, &one, count, nullptr), 0);
    EXPECT_GE(H5Pset_virtual(properties, space, source, "/x", from), 0);
    H5Sclose(from);
  }};
}

TEST(UntrustedHdf5, DataOfOtherFilesAreRefused) {
  const auto external = [](hid_t properties, hid_t) { H5Pset_external(properties, "/etc/hostname", 0, H5F_UNLIMITED); };
  EXPECT_THAT(refusal({external}), HasSubstr("a.h5: /x: its data lie in another file, which is not read"));
  EXPECT_THAT(refusal(shows("b.h5", false)), HasSubstr("a.h5: /x: it is a virtual dataset, which shows data of other files"));
}

std::string index_refusal(const Odd& odd) {
  const TemporaryFolder folder;
  const auto path = write_odd(folder, odd);
  return error_of(ExitCode::bad_input, [&] { Hdf5File::open_index(path).read_all<float>("/x"); });
}

TEST(UntrustedHdf5, SourcesOfAnIndexLieInItsFolder) {
  const auto outside = AllOf(HasSubstr("its source "), HasSubstr("is not the name of a file in the same folder"));
  for (const char* source : {"../b.h5", "/tmp/b.h5", "sub/b.h5", ".", ".."})
    EXPECT_THAT(index_refusal(shows(source, false)), outside);
  // The library wants a range without an end for a pattern, and one block of the source for each file.
  const Odd pattern{[](hid_t properties, hid_t space) {
    const hsize_t most = H5S_UNLIMITED, begin = 0, one = 1;
    const hid_t from = H5Screate_simple(1, &one, nullptr);
    H5Sset_extent_simple(space, 1, &kSize, &most);
    EXPECT_GE(H5Sselect_hyperslab(space, H5S_SELECT_SET, &begin, &one, &most, nullptr), 0);
    EXPECT_GE(H5Pset_virtual(properties, space, "b%b.h5", "/x", from), 0);
    H5Sclose(from);
  }};
  EXPECT_THAT(index_refusal(pattern), outside);
  // A dataset that shows itself would recurse.
  EXPECT_THAT(index_refusal(shows("a.h5", false)), HasSubstr("a.h5: /x: it is a virtual dataset"));
}

TEST(UntrustedHdf5, SourcesAreNotOpenedBeforeTheyAreChecked) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.h5").c_str(), 0600), 0);  // opening it would hang
  for (const bool endless : {false, true}) {
    const auto path = write_odd(folder, shows("pipe.h5", endless));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Hdf5File::open(path).shape("/x"); }), HasSubstr("it is a virtual dataset"));
    EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Hdf5File::open_index(path).read_all<float>("/x"); }),
                endless ? HasSubstr("a range without an end") : HasSubstr("it is a named pipe"));
  }
}

/// a.h5 with a link /outside to the root of b.h5. The library of this process makes no such link any more, so that one of
/// another class is written and then renamed.
std::filesystem::path write_external_link(const TemporaryFolder& folder) {
  const auto path = write_odd(folder, {});
  const H5L_class_t odd{.version = H5L_LINK_CLASS_T_VERS,
                        .id = static_cast<H5L_type_t>(H5L_TYPE_MAX),
                        .comment = "",
                        .create_func = nullptr,
                        .move_func = nullptr,
                        .copy_func = nullptr,
                        .trav_func = [](const char*, hid_t, const void*, size_t, hid_t, hid_t) -> hid_t { return -1; },
                        .del_func = nullptr,
                        .query_func = nullptr};
  EXPECT_GE(H5Lregister(&odd), 0);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  constexpr std::string_view kTarget("\0b.h5\0/\0", 8);
  EXPECT_GE(H5Lcreate_ud(file, "/outside", odd.id, kTarget.data(), kTarget.size(), H5P_DEFAULT, H5P_DEFAULT), 0);
  EXPECT_GE(H5Lcreate_soft("/outside/x", file, "/through", H5P_DEFAULT, H5P_DEFAULT), 0);
  EXPECT_GE(H5Lcreate_soft("/x", file, "/inside", H5P_DEFAULT, H5P_DEFAULT), 0);
  EXPECT_GE(H5Lcreate_soft("/loop", file, "/loop", H5P_DEFAULT, H5P_DEFAULT), 0);
  H5Fclose(file);
  H5Lunregister(odd.id);
  std::string bytes = slurp(path);
  char& type = bytes.at(bytes.find("\7outside") - 1);
  EXPECT_EQ(static_cast<unsigned char>(type), H5L_TYPE_MAX);
  type = H5L_TYPE_EXTERNAL;
  return folder.write("a.h5", bytes);
}

TEST(UntrustedHdf5, LinksIntoOtherFilesAreNotFollowed) {
  const TemporaryFolder folder;
  std::filesystem::rename(write_odd(folder, {}), folder / "b.h5");
  const auto path = write_external_link(folder);
  const Hdf5File read = Hdf5File::open(path);
  const auto message = [&](const auto& action) { return error_of(ExitCode::bad_input, action); };
  EXPECT_EQ(read.read_all<float>("/inside"), counting());
  for (const char* name : {"/through", "/loop"})
    EXPECT_THAT(message([&] { read.read_all<float>(name); }), HasSubstr("there is no such dataset"));
  const auto refused = HasSubstr("a.h5: /outside: it is a link into another file, which is not followed");
  EXPECT_THAT(message([&] { read.read_all<float>("/outside/x"); }), refused);
  EXPECT_THAT(message([&] { read.children("/outside"); }), refused);
  EXPECT_THAT(message([&] { read.is_group("/outside"); }), refused);
  EXPECT_THAT(message([&] { read.has_attribute("/outside", "a"); }), refused);
}

TEST(UntrustedHdf5, ChunksThatTheFileDoesNotJustifyAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  Hdf5File::create(path).close();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hsize_t most = H5S_UNLIMITED, chunk = hsize_t{1} << 29;  // 60 elements in a chunk of 2 GiB
  const hid_t space = H5Screate_simple(1, &kSize, &most), properties = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(properties, 1, &chunk);
  H5Pset_deflate(properties, 1);
  const hid_t dataset = H5Dcreate2(file, "/x", H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
  const std::string stored(1000, '\0');
  const hsize_t begin = 0;
  EXPECT_GE(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &begin, stored.size(), stored.data()), 0);
  H5Dclose(dataset);
  H5Pclose(properties);
  H5Sclose(space);
  H5Fclose(file);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Hdf5File::open(path).read_all<float>("/x"); }),
              HasSubstr("does not fit the 1000 bytes it stores"));
}

TEST(UntrustedHdf5, ANamedPipeIsNotWaitedFor) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "a.h5").c_str(), 0600), 0);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Hdf5File::open(folder / "a.h5"); }), HasSubstr("it is a named pipe"));
}

TEST(UntrustedHdf5, AFileThatAnotherProgramHasOpenIsNamedSo) {
  const TemporaryFolder folder;
  const auto path = folder / "a.h5";
  Hdf5File::create(path).close();
  const int other = ::open(path.c_str(), O_RDONLY);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { Hdf5File::open(path); }),
              HasSubstr("another program has it open for writing; let that one close it"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { Hdf5File::open_for_update(path); }), HasSubstr("another program has it open;"));
  ::close(other);
}

}  // namespace
}  // namespace expunge
