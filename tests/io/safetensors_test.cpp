// safetensors: reading slices of every dtype, refusing what is malformed, writing.
#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "io/float16.h"
#include "io/hash.h"
#include "support/growth.h"
#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A file of this header and data.
std::string file_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename Out>
std::vector<Out> read(const SafetensorsFile& file, const std::string& name, std::uint64_t first, std::uint64_t count) {
  std::vector<Out> values(count);
  file.read(name, first, count, values.data());
  return values;
}

/// The message of opening such a file.
std::string error_of_file(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("m.safetensors", bytes);
  const std::string message = error_of(ExitCode::bad_input, [&] { const SafetensorsFile file(path); });
  EXPECT_THAT(message, testing::StartsWith(path.string()));
  return message;
}

std::string error_of_header(const std::string& header, std::size_t data_bytes) {
  return error_of_file(file_bytes(header, std::string(data_bytes, 'x')));
}

/// A header of one tensor "w" over 24 bytes, whose parts can be wrong.
std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, ReadsSlicesOfEachDtype) {
  const std::vector<float> numbers = {0.f, 1.f, -2.5f, 0.15625f, -1024.f, 3.f};
  std::vector<std::uint16_t> half, brain;
  for (const float x : numbers) {
    half.push_back(float16_from_float(x));
    brain.push_back(bf16(x).bits);
  }
  // The one byte at first leaves everything behind it unaligned.
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("f":{"dtype":"F32","shape":[2,3],"data_offsets":[1,25]},)"
                             R"("d":{"dtype":"F64","shape":[6],"data_offsets":[25,73]},)"
                             R"("h":{"dtype":"F16","shape":[6],"data_offsets":[73,85]},)"
                             R"("n":{"dtype":"F32","shape":[0,7],"data_offsets":[85,85]},)"
                             R"("s":{"dtype":"F32","shape":[],"data_offsets":[97,101]},)"
                             R"("t":{"dtype":"BF16","shape":[3,2],"data_offsets":[85,97]}})";
  const TemporaryFolder folder;
  const SafetensorsFile file(folder.write(
      "m", file_bytes(header, "u" + bytes_of(numbers) + bytes_of(std::vector<double>(numbers.begin(), numbers.end())) +
                                  bytes_of(half) + bytes_of(brain) + bytes_of(std::vector<float>{7.f}))));
  for (const char* name : {"f", "d", "h", "t"}) {
    EXPECT_EQ(read<float>(file, name, 0, 6), numbers) << name;
    EXPECT_THAT(read<double>(file, name, 1, 3), ElementsAre(1., -2.5, 0.15625)) << name;
    EXPECT_TRUE(file.info(name).readable());
  }
  EXPECT_THAT(read<float>(file, "s", 0, 1), ElementsAre(7.f));
  EXPECT_TRUE(read<float>(file, "n", 0, 0).empty());
  EXPECT_THAT(file.info("f").shape, ElementsAre(2, 3));
  EXPECT_EQ(file.info("f").begin, file.header_bytes() + 1);
  EXPECT_EQ(file.info("f").end, file.header_bytes() + 25);
  EXPECT_EQ(file.info("s").elements(), 1u);
  EXPECT_EQ(file.tensors().size(), 7u);
  EXPECT_FALSE(file.has("__metadata__"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read<float>(file, "b", 0, 1); }),
              AllOf(HasSubstr("\"b\" has dtype U8"), HasSubstr("expected F32, F16, BF16 or F64")));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read<float>(file, "none", 0, 1); }), HasSubstr("\"none\" is missing"));
  error_of(ExitCode::internal, [&] { read<float>(file, "f", 5, 2); });
  float out = 0;
  error_of(ExitCode::internal, [&] { file.read("f", 7, 0, &out); });
  error_of(ExitCode::internal, [&] { file.read("f", 2, std::numeric_limits<std::uint64_t>::max(), &out); });
}

TEST(Safetensors, ReadsAndWritesHeadersInLinearTime) {
  const TemporaryFolder folder;
  const auto name = [](std::size_t i) { return "model.layers." + std::to_string(i) + ".weight"; };
  const auto make = [&](std::size_t count) {
    std::string header = "{";
    for (std::size_t i = 0; i < count; ++i)
      header += (i > 0 ? ",\"" : "\"") + name(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    return folder.write(std::to_string(count), file_bytes(header + "}", ""));
  };
  expect_linear_time(3'000, make, [](const std::filesystem::path& path) { const SafetensorsFile file(path); });

  const auto tensors = [&](std::size_t count) {
    std::vector<SafetensorsWriter::Tensor> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back({name(i), {0}});
    return result;
  };
  expect_linear_time(3'000, tensors, [&](const auto& all) { SafetensorsWriter(folder / "w", DType::float32, all).finish(); });
}

TEST(Safetensors, RefusesTruncatedFiles) {
  const std::string whole = file_bytes(one_tensor("F32", "[2,3]", "[0,24]"), std::string(24, 'x'));
  EXPECT_THAT(error_of_file(""), HasSubstr("it has 0 bytes"));
  EXPECT_THAT(error_of_file(whole.substr(0, 7)), HasSubstr("it has 7 bytes"));
  EXPECT_THAT(error_of_file(whole.substr(0, 40)), HasSubstr("the file has 40 in all; it may be truncated"));
  EXPECT_THAT(error_of_file(whole.substr(0, whole.size() - 1)),
              AllOf(HasSubstr("tensor \"w\" ends at byte"), HasSubstr("it may be truncated"), HasSubstr("fetch")));
  EXPECT_THAT(error_of_file(std::string(8, '\xff')), HasSubstr("its header claims 18446744073709551615 bytes"));
}

TEST(Safetensors, RefusesMalformedHeaders) {
  EXPECT_THAT(error_of_file(file_bytes("{\"w\":", "")), HasSubstr("its header: not valid JSON"));
  EXPECT_THAT(error_of_file(file_bytes("", "")), HasSubstr("its header: not valid JSON"));
  EXPECT_THAT(error_of_file(file_bytes("[1]", "")), HasSubstr("expected a JSON object"));
  EXPECT_THAT(error_of_file(file_bytes("{\"\xff\":1}", "")), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of_file(file_bytes(std::string(1 << 20, '['), "")), HasSubstr("its header: nested more than 8 deep"));
  EXPECT_THAT(error_of_header(R"({"w":7})", 0), AllOf(HasSubstr("tensor \"w\""), HasSubstr("expected a JSON object, found 7")));
  EXPECT_THAT(error_of_header(R"({"w":{"shape":[],"data_offsets":[0,0]}})", 0), HasSubstr("'dtype' is missing"));
  EXPECT_THAT(error_of_header(R"({"w":{"dtype":"F32","data_offsets":[0,0]}})", 0), HasSubstr("'shape' is missing"));
  EXPECT_THAT(error_of_header(R"({"w":{"dtype":"F32","shape":[]}})", 0), HasSubstr("'data_offsets' is missing"));
  const std::string twice = R"("w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]})";
  EXPECT_THAT(error_of_header("{" + twice + "," + twice + "}", 24), HasSubstr("has \"w\" twice"));
  EXPECT_THAT(error_of_header(R"({"w":{"dtype":"F32","dtype":"I32","shape":[6],"data_offsets":[0,24]}})", 24),
              HasSubstr("has \"dtype\" twice"));
}

TEST(Safetensors, RefusesWrongDtypesShapesAndOffsets) {
  const auto error = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return error_of_header(one_tensor(dtype, shape, offsets), 24);
  };
  EXPECT_THAT(error("F99", "[6]", "[0,24]"), HasSubstr("tensor \"w\" has the unknown dtype \"F99\""));
  EXPECT_THAT(error("F64", "[6]", "[0,24]"), HasSubstr("tensor \"w\": F64 [6] does not fill the 24 bytes"));
  EXPECT_THAT(error("F32", "[5]", "[0,24]"), HasSubstr("does not fill"));
  EXPECT_THAT(error("F4", "[47]", "[0,24]"), HasSubstr("does not fill"));
  EXPECT_THAT(error("F32", "[-6]", "[0,24]"), HasSubstr("'shape': expected whole numbers"));
  EXPECT_THAT(error("F32", "[6.0]", "[0,24]"), HasSubstr("'shape': expected whole numbers"));
  EXPECT_THAT(error("F32", "6", "[0,24]"), HasSubstr("'shape': expected a list"));
  EXPECT_THAT(error("F32", "[4294967296,4294967296,6]", "[0,24]"), HasSubstr("does not fill"));  // 2^64 times 24 bytes
  EXPECT_THAT(error("F32", "[18446744073709551615]", "[0,24]"), HasSubstr("'shape': expected whole numbers of at most 2^40"));
  EXPECT_THAT(error("F32", "[6]", "[24,0]"), HasSubstr("a begin that is at most the end"));
  EXPECT_THAT(error("F32", "[6]", "[-24,0]"), HasSubstr("'data_offsets': expected two whole numbers"));
  EXPECT_THAT(error("F32", "[6]", "[0]"), HasSubstr("'data_offsets': expected two whole numbers"));
  EXPECT_THAT(error("F32", "[6]", "[0,\"24\"]"), HasSubstr("'data_offsets': expected two whole numbers"));
  EXPECT_THAT(error("F32", "[6]", "[1000,1024]"), HasSubstr("ends at byte"));
  EXPECT_THAT(error("F32", "[6]", "[18446744073709551592,18446744073709551615]"), HasSubstr("in the file"));
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const auto two = [](const std::string& a, const std::string& b) {
    return error_of_header(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":)" + a +
                               R"(},"b":{"dtype":"U8","shape":[8],"data_offsets":)" + b + "}}",
                           16);
  };
  EXPECT_THAT(two("[0,8]", "[4,12]"), HasSubstr("tensor \"b\" overlaps the one before it by 4 bytes"));
  EXPECT_THAT(two("[0,8]", "[0,8]"), HasSubstr("overlaps"));
  EXPECT_THAT(two("[8,16]", "[4,12]"), HasSubstr("4 bytes before tensor \"b\" belong to no tensor"));
  EXPECT_THAT(error_of_header(one_tensor("U8", "[8]", "[0,8]"), 9), HasSubstr("1 bytes at its end belong to no tensor"));
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  const auto message = [&](const char* name) {
    return error_of(ExitCode::bad_input, [&] { const SafetensorsFile file(folder / name); });
  };
  EXPECT_THAT(message("none"), HasSubstr("No such file"));
  EXPECT_THAT(message("."), HasSubstr("expected a plain file"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(message("pipe"), HasSubstr("expected a plain file"));
}

TEST(Safetensors, AFileThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder.write("m", file_bytes(one_tensor("F32", "[100000]", "[0,400000]"), std::string(400000, '\0')));
  const SafetensorsFile file(path);
  EXPECT_EQ(read<float>(file, "w", 99999, 1)[0], 0.f);
  std::filesystem::resize_file(path, 1000);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { read<float>(file, "w", 99999, 1); }), HasSubstr("shrank from"));
}

TEST(Safetensors, SegmentsFollowOneAnotherAndHashToTheFile) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "m", DType::float32, {{"z", {3}}, {"a", {5, 2}}, {"k", {1}}});
  std::vector<double> values(14);
  std::iota(values.begin(), values.end(), 1.);
  writer.append(values.data(), values.size());
  writer.finish();
  const SafetensorsFile file(folder / "m");
  Sha256 hash;
  std::uint64_t at = 0;
  std::vector<std::string> names;
  for (const SafetensorsFile::Segment& segment : file.segments()) {
    EXPECT_EQ(segment.begin, at);
    at = segment.end;
    names.push_back(segment.tensor);
    file.visit(segment.begin, segment.end, [&](std::string_view piece) { hash.update(piece); });
  }
  EXPECT_EQ(at, file.bytes());
  EXPECT_THAT(names, ElementsAre("", "z", "a", "k"));
  EXPECT_EQ(hash.hex(), sha256_file(folder / "m"));
}

/// Pages of this process's mappings of a file that are in memory, in kB.
std::uint64_t mapped_kilobytes(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  std::uint64_t total = 0;
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(path.string());
    if (inside && line.starts_with("Rss:")) total += std::stoull(line.substr(4));
  }
  return total;
}

TEST(Safetensors, ReadsAcrossPiecesAndLeavesNothingMapped) {
  constexpr std::uint64_t kElements = 9'000'000;  // 36 MB: three pieces
  const TemporaryFolder folder;
  std::vector<double> values(kElements);
  for (std::uint64_t i = 0; i < kElements; ++i) values[i] = static_cast<double>(i % 999983);
  SafetensorsWriter writer(folder / "m", DType::float32, {{"w", {9000, 1000}}});
  writer.append(values.data(), 1234567);
  writer.append(values.data() + 1234567, kElements - 1234567);
  writer.finish();
  const SafetensorsFile file(std::filesystem::canonical(folder / "m"));
  std::vector<float> slice(kElements - 11);
  file.read("w", 7, slice.size(), slice.data());
  EXPECT_TRUE(std::equal(slice.begin(), slice.end(), values.begin() + 7));
  EXPECT_LE(mapped_kilobytes(file.path()), 64u);
  std::uint64_t most = 0;
  file.visit(0, file.bytes(), [&](std::string_view piece) {
    if (std::accumulate(piece.begin(), piece.end(), 0) != 0) most = std::max(most, mapped_kilobytes(file.path()));
  });
  EXPECT_GT(most, 15'000u);  // so the measure above can tell
}

TEST(SafetensorsWriter, RoundTripsEachDtype) {
  const TemporaryFolder folder;
  const std::vector<double> values = {0, -0.0, 1, 1.0 / 3, -65504, 6.1e-5, 5.96e-8, 1e-30, 3e38, -1e300, 0.1, 2};
  for (const DType dtype : {DType::float32, DType::float64, DType::bfloat16, DType::float16}) {
    const auto path = folder / dtype_name(dtype);
    SafetensorsWriter writer(path, dtype, {{"a", {2, 5}}, {"b", {2}}});
    for (const double& value : values) writer.append(&value, 1);
    EXPECT_FALSE(std::filesystem::exists(path)) << "before finish()";
    writer.finish();
    const SafetensorsFile file(path);
    EXPECT_EQ(file.header_bytes() % 8, 0u);
    EXPECT_THAT(file.info("a").shape, ElementsAre(2, 5));
    std::vector<double> back = read<double>(file, "a", 0, 10);
    for (const double x : read<double>(file, "b", 0, 2)) back.push_back(x);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto narrow = static_cast<float>(values[i]);
      const double expected = dtype == DType::float64    ? values[i]
                              : dtype == DType::float32  ? static_cast<double>(narrow)
                              : dtype == DType::bfloat16 ? static_cast<double>(static_cast<float>(bf16(narrow)))
                                                         : static_cast<double>(float_from_float16(float16_from_float(narrow)));
      EXPECT_EQ(back[i], expected) << dtype_name(dtype) << ", element " << i;
      EXPECT_EQ(std::signbit(back[i]), std::signbit(values[i]));
    }
  }
  EXPECT_THAT(slurp(folder / "float32").substr(8, 32), HasSubstr(R"({"__metadata__":{"format":"pt"})"));
}

TEST(SafetensorsWriter, LeavesNothingBehindWhenItDoesNotFinish) {
  const TemporaryFolder folder;
  const double value = 1;
  {
    SafetensorsWriter writer(folder / "m", DType::float32, {{"a", {2}}});
    writer.append(&value, 1);
    error_of(ExitCode::internal, [&] { writer.finish(); });
  }
  EXPECT_TRUE(folder.names().empty());
  SafetensorsWriter writer(folder / "m", DType::float32, {{"a", {1}}});
  const double two[] = {1, 2};
  error_of(ExitCode::internal, [&] { writer.append(two, 2); });
  EXPECT_THAT(error_of(ExitCode::output,
                       [&] {
                         SafetensorsWriter(folder / "none/m", DType::float32, {{"a", {1}}});
                       }),
              HasSubstr("No such file"));
}

TEST(SafetensorsWriter, AFullDiskKeepsTheOldFile) {
  const TinyDisk disk(1 << 20);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  const TemporaryFolder& folder = disk.folder();
  folder.write("m", "old");
  const std::vector<double> values(1 << 20, 1.0);
  const std::string message = error_of(ExitCode::output, [&] {
    SafetensorsWriter writer(folder / "m", DType::float32, {{"a", {1 << 20}}});
    writer.append(values.data(), values.size());
    writer.finish();
  });
  EXPECT_THAT(message, HasSubstr("No space left on device"));
  EXPECT_EQ(slurp(folder / "m"), "old");
  EXPECT_THAT(folder.names(), ElementsAre("m"));
}

TEST(Float16, EveryValueRoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_float16(half);
    if ((bits & 0x7fffu) > 0x7c00u) {
      EXPECT_TRUE(std::isnan(value)) << bits;
      EXPECT_EQ(float16_from_float(value) & 0x7c00u, 0x7c00u);
      EXPECT_NE(float16_from_float(value) & 0x3ffu, 0u);
    } else {
      EXPECT_EQ(float16_from_float(value), half) << bits;
      const std::uint32_t exponent = (bits >> 10) & 31, mantissa = bits & 1023;
      const double expected = exponent == 31  ? std::numeric_limits<double>::infinity()
                              : exponent == 0 ? std::ldexp(mantissa, -24)
                                              : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
      EXPECT_EQ(std::abs(value), static_cast<float>(expected)) << bits;
      EXPECT_EQ(std::signbit(value), bits >= 0x8000u);
    }
  }
}

TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7bffu; ++bits) {  // between each finite value and the next
    const float low = float_from_float16(static_cast<std::uint16_t>(bits));
    const float high = float_from_float16(static_cast<std::uint16_t>(bits + 1));
    const float middle = 0.5f * (low + high);
    EXPECT_EQ(float16_from_float(middle), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(float16_from_float(std::nextafter(middle, 0.f)), bits);
    EXPECT_EQ(float16_from_float(std::nextafter(middle, 1e9f)), bits + 1);
  }
  EXPECT_EQ(float16_from_float(65519.f), 0x7bffu);
  EXPECT_EQ(float16_from_float(65520.f), 0x7c00u);
  EXPECT_EQ(float16_from_float(-std::numeric_limits<float>::infinity()), 0xfc00u);
}

}  // namespace
}  // namespace expunge
