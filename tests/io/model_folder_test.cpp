// Model folders: one file or several with an index, and writing them.
#include "io/model_folder.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "support/growth.h"
#include "support/temporary_folder.h"
#include "support/tiny_disk.h"

namespace expunge {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

void write_tensors(const std::filesystem::path& path, const std::vector<SafetensorsWriter::Tensor>& tensors) {
  SafetensorsWriter writer(path, DType::float32, tensors);
  double value = 0;
  for (const SafetensorsWriter::Tensor& tensor : tensors)
    for (std::uint64_t i = 0; i < tensor.elements(); ++i, ++value) writer.append(&value, 1);
  writer.finish();
}

void write_index(const TemporaryFolder& folder, const std::string& weight_map) {
  folder.write("model.safetensors.index.json", R"({"metadata":{"total_size":1},"weight_map":)" + weight_map + "}");
}

std::string error_of_folder(const TemporaryFolder& folder) {
  return error_of(ExitCode::bad_input, [&] { const ModelFolder model(folder.path()); });
}

std::vector<double> read(const ModelFolder& folder, const std::string& name) {
  std::vector<double> values(folder.info(name).elements());
  folder.read(name, 0, values.size(), values.data());
  return values;
}

TEST(ModelFolder, ReadsOneFile) {
  const TemporaryFolder folder;
  write_tensors(folder / "model.safetensors", {{"b", {2}}, {"a", {1, 3}}});
  write_index(folder, R"({"a":"gone.safetensors"})");  // the single file comes first, as in transformers
  const ModelFolder model(folder.path());
  EXPECT_THAT(model.names(), ElementsAre("a", "b"));
  EXPECT_THAT(read(model, "a"), ElementsAre(2, 3, 4));
  EXPECT_EQ(model.files().size(), 1u);
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { (void)model.info("c"); }), HasSubstr("\"c\" is missing"));
}

TEST(ModelFolder, ReadsSeveralFilesByTheirIndex) {
  const TemporaryFolder folder;
  write_tensors(folder / "model-00001-of-00002.safetensors", {{"a", {2}}, {"unlisted", {1}}});
  write_tensors(folder / "model-00002-of-00002.safetensors", {{"c", {1}}, {"b", {2}}});
  write_index(folder, R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors",
                          "c":"model-00002-of-00002.safetensors"})");
  const ModelFolder model(folder.path());
  EXPECT_THAT(model.names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(read(model, "a"), ElementsAre(0, 1));
  EXPECT_THAT(read(model, "b"), ElementsAre(1, 2));
  ASSERT_EQ(model.files().size(), 2u);
  EXPECT_EQ(model.files()[1].path().filename(), "model-00002-of-00002.safetensors");
}

TEST(ModelFolder, ReadsAndWritesAnIndexInLinearTime) {
  const TemporaryFolder folder;
  const auto make = [&](std::size_t count) {
    std::vector<SafetensorsWriter::Tensor> tensors = {{"last", {1}}};
    for (std::size_t i = 0; i < count; ++i) tensors.push_back({"model.layers." + std::to_string(i) + ".weight", {0}});
    tensors.push_back({"first", {1}});
    return tensors;
  };
  const auto path = [&](const auto& tensors) { return folder / std::to_string(tensors.size()); };
  expect_linear_time(3'000, make, [&](const auto& tensors) {
    std::filesystem::remove_all(path(tensors));
    ModelFolderWriter writer(path(tensors), DType::float32, tensors, 4);
    const double value = 1;
    for (const auto& tensor : tensors) writer.append(&value, tensor.elements());
    writer.finish();
  });
  expect_linear_time(3'000, make, [&](const auto& tensors) { const ModelFolder model(path(tensors)); });
}

TEST(ModelFolder, RefusesFoldersWithoutSafetensors) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of_folder(folder), HasSubstr("no model.safetensors"));
  folder.write("pytorch_model.bin", "x");
  EXPECT_THAT(error_of_folder(folder), AllOf(HasSubstr("pytorch_model.bin"), HasSubstr("save_pretrained")));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { const ModelFolder model(folder / "none"); }), HasSubstr("none: no model"));
}

TEST(ModelFolder, RefusesBadIndexes) {
  const TemporaryFolder folder;
  write_tensors(folder / "a.safetensors", {{"a", {2}}});
  write_index(folder, R"({"a":"a.safetensors","b":"a.safetensors"})");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("tensor \"b\" is not in a.safetensors as the index says"));
  write_index(folder, R"({"a":"gone.safetensors"})");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("the file \"gone.safetensors\", which the index names, is missing"));
  for (const char* name : {"\"../a.safetensors\"", "\"/etc/passwd\"", "\"x/a.safetensors\"", "\"..\"", "\".\"", "\"\"",
                           "\"a.safetensors\\u0000\""}) {
    write_index(folder, std::string(R"({"a":)") + name + "}");
    EXPECT_THAT(error_of_folder(folder), HasSubstr("expected the name of a file in the folder")) << name;
  }
  write_index(folder, R"({"a":7})");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("key 'a': expected a string, found 7"));
  write_index(folder, R"(["a"])");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("weight_map: expected a JSON object"));
  folder.write("model.safetensors.index.json", "{}");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("key 'weight_map' is missing"));
  folder.write("model.safetensors.index.json", "{");
  EXPECT_THAT(error_of_folder(folder), HasSubstr("not valid JSON"));
}

const std::vector<SafetensorsWriter::Tensor> kTensors = {{"a", {4}}, {"b", {2, 3}}, {"c", {2}}, {"d", {1}}};  // 16 24 8 4 bytes

/// Numbers 0, 1, 2, ... for all of kTensors, each tensor in pieces of two elements.
void append_all(ModelFolderWriter& writer) {
  double value = 0;
  for (const SafetensorsWriter::Tensor& tensor : kTensors) {
    for (std::uint64_t i = 0; i < tensor.elements(); i += 2) {
      const double two[] = {value, value + 1};
      const std::uint64_t count = std::min<std::uint64_t>(2, tensor.elements() - i);
      writer.append(two, count);
      value += static_cast<double>(count);
    }
  }
}

TEST(ModelFolderWriter, WritesOneFileWithSideFiles) {
  const TemporaryFolder folder;
  const auto side = folder.write("from/tokenizer.model", std::string("t\0k", 3));
  ModelFolderWriter writer(folder / "out/model/", DType::float32, kTensors);
  append_all(writer);
  writer.copy_side_file(side);
  writer.write_side_file("config.json", "{}");
  EXPECT_FALSE(std::filesystem::exists(folder / "out/model"));
  EXPECT_THAT(error_of(ExitCode::bad_input, [&] { writer.copy_side_file(folder / "none"); }), HasSubstr("none"));
  writer.finish();
  EXPECT_THAT(list_folder(folder / "out"), ElementsAre(folder / "out/model"));
  EXPECT_THAT(list_folder(folder / "out/model"),
              ElementsAre(folder / "out/model/config.json", folder / "out/model/model.safetensors",
                          folder / "out/model/tokenizer.model"));
  EXPECT_EQ(slurp(folder / "out/model/tokenizer.model"), std::string("t\0k", 3));
  const ModelFolder model(folder / "out/model");
  EXPECT_THAT(read(model, "b"), ElementsAre(4, 5, 6, 7, 8, 9));
  EXPECT_THAT(read(model, "d"), ElementsAre(12));
}

TEST(ModelFolderWriter, SplitsAboveTheLimitAndIndexes) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "out");  // an empty folder may be there
  ModelFolderWriter writer(folder / "out", DType::float32, kTensors, 20);
  append_all(writer);
  writer.finish();
  EXPECT_THAT(folder.names(), ElementsAre("out"));
  const ModelFolder model(folder / "out");
  ASSERT_EQ(model.files().size(), 3u);  // 16; 24, which alone exceeds the limit; 8 + 4
  EXPECT_EQ(model.files()[2].path().filename(), "model-00003-of-00003.safetensors");
  EXPECT_EQ(model.files()[2].tensors().size(), 2u);
  EXPECT_THAT(read(model, "a"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(read(model, "b"), ElementsAre(4, 5, 6, 7, 8, 9));
  EXPECT_THAT(read(model, "c"), ElementsAre(10, 11));
  EXPECT_THAT(read(model, "d"), ElementsAre(12));
  const auto index = nlohmann::json::parse(slurp(folder / "out/model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 52);
  EXPECT_EQ(index["weight_map"].size(), 4u);
}

TEST(ModelFolderWriter, RefusesWhatIsThere) {
  const TemporaryFolder folder;
  folder.write("full/x", "x");
  folder.write("file", "");
  for (const char* name : {"full", "file"})
    EXPECT_THAT(error_of(ExitCode::output, [&] { ModelFolderWriter(folder / name, DType::float32, kTensors); }),
                HasSubstr("already there"));
  EXPECT_THAT(folder.names(), UnorderedElementsAre("full", "file"));
  EXPECT_THAT(error_of(ExitCode::output, [&] { ModelFolderWriter(folder / "file/x", DType::float32, kTensors); }),
              HasSubstr("Not a directory"));
}

TEST(ModelFolderWriter, LeavesNothingBehindWhenItDoesNotFinish) {
  const TemporaryFolder folder;
  folder.write(".out.writing/left", "by somebody else");
  {
    ModelFolderWriter writer(folder / "out", DType::float32, kTensors);
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  }
  EXPECT_THAT(folder.names(), UnorderedElementsAre(".out.writing"));
  const TinyDisk disk(1 << 20);
  if (!disk.ready()) GTEST_SKIP() << "only root can mount a small file system";
  const std::vector<double> values(1 << 20, 1.0);
  EXPECT_THAT(error_of(ExitCode::output,
                       [&] {
                         ModelFolderWriter writer(disk.folder() / "out", DType::float32, {{"a", {1 << 20}}});
                         writer.append(values.data(), values.size());
                         writer.finish();
                       }),
              HasSubstr("No space left on device"));
  EXPECT_TRUE(disk.folder().names().empty());
  // No room even for the first header.
  std::ofstream(disk.folder() / "filler", std::ios::binary).write(reinterpret_cast<const char*>(values.data()), 2 << 20);
  EXPECT_THAT(error_of(ExitCode::output,
                       [&] {
                         ModelFolderWriter(disk.folder() / "out", DType::float32, {{"a", {8}}});
                       }),
              HasSubstr("No space left on device"));
  EXPECT_EQ(disk.folder().names(), std::vector<std::string>{"filler"});
}

}  // namespace
}  // namespace expunge
