// Opens and writes Hugging Face model folders.
#include "io/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <system_error>

#include "expunge/error.h"
#include "io/hash.h"
#include "io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kIndexLimit = std::uint64_t{256} << 20;

/// Whether `name` is a plain file name, so that an index cannot lead out of its folder.
bool is_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The real path of an output folder, which must be empty or missing.
fs::path free_folder(const fs::path& folder) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(fs::absolute(folder, error), error);
  if (!error && !real.has_filename()) real = real.parent_path();  // a slash at the end
  if (!error && is_there(real) && (!fs::is_directory(real, error) || !fs::is_empty(real, error)) && !error)
    fail(ExitCode::output,
         fmt::format("{}: already there, and not an empty folder; remove it or name another", folder.string()));
  if (error) fail(ExitCode::output, fmt::format("{}: cannot be listed: {}", folder.string(), error.message()));
  return real;
}

}  // namespace

ModelFolder::ModelFolder(const fs::path& folder, const std::vector<std::string>& needed) : path_(folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (is_there(single)) {
    files_.emplace_back(single, needed);
    for (const auto& [name, info] : files_[0].tensors()) file_of_[name] = 0;
  } else if (is_there(index)) {
    open_index(index, needed);
  } else {
    const char* hint = is_there(folder / "pytorch_model.bin") || is_there(folder / "pytorch_model.bin.index.json")
                           ? "; it holds pytorch_model.bin: load it with transformers and write it with save_pretrained()"
                           : "";
    fail(ExitCode::bad_input,
         fmt::format("{}: no model.safetensors and no model.safetensors.index.json{}", folder.string(), hint));
  }
}

void ModelFolder::open_index(const fs::path& index, const std::vector<std::string>& needed) {
  const JsonObject whole(parse_json_file(index, kIndexLimit), index.string());
  const JsonObject map(whole.at("weight_map"), index.string() + ": weight_map");
  std::map<std::string, std::vector<std::string>> tensors;  // per file
  for (const auto& [tensor, value] : map.value().items()) {
    const std::string name = map.string(tensor);
    if (!is_file_name(name)) map.wrong(tensor, "the name of a file in the folder");
    tensors[name].push_back(tensor);
    if (tensors[name].size() == 1 && !is_there(path_ / name))
      fail(ExitCode::bad_input, fmt::format("{}: the file {}, which the index names, is missing; fetch the model again",
                                            path_.string(), json_excerpt(name)));
  }
  std::vector<std::string> nowhere;  // in no file of the index, so any file may lack them
  std::ranges::copy_if(needed, std::back_inserter(nowhere), [&](const std::string& name) { return !map.has(name); });
  std::map<std::string, std::size_t> number;
  for (auto& [name, listed] : tensors) {
    number[name] = files_.size();
    listed.insert(listed.end(), nowhere.begin(), nowhere.end());
    files_.emplace_back(path_ / name, listed);
  }
  for (const auto& [tensor, value] : map.value().items()) {
    const std::size_t file = number.at(value.get<std::string>());
    if (!files_[file].has(tensor))
      fail(ExitCode::bad_input, fmt::format("{}: tensor {} is not in {} as the index says; fetch the model again",
                                            index.string(), json_excerpt(tensor), files_[file].path().filename().string()));
    file_of_[tensor] = file;
  }
}

std::vector<std::string> ModelFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

const SafetensorsFile& ModelFolder::file(const std::string& name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end())
    fail(ExitCode::bad_input, fmt::format("{}: tensor {} is missing", path_.string(), json_excerpt(name)));
  return files_[found->second];
}

ModelFolderWriter::ModelFolderWriter(const fs::path& folder, DType dtype, std::vector<SafetensorsWriter::Tensor> tensors,
                                     std::uint64_t most_bytes)
    : folder_(free_folder(folder)), dtype_(dtype) {
  make_folder(folder_.parent_path());
  writing_ = staging_.emplace(folder_.parent_path(), folder_.filename().string()).folder() / folder_.filename();
  make_folder(writing_);

  std::uint64_t bytes = 0;
  for (SafetensorsWriter::Tensor& tensor : tensors) {
    const std::uint64_t more = tensor.elements() * static_cast<std::uint64_t>(dtype_size(dtype));
    if (parts_.empty() || bytes + more > most_bytes) {
      parts_.emplace_back();
      part_elements_.push_back(0);
      bytes = 0;
    }
    bytes += more;
    part_elements_.back() += tensor.elements();
    parts_.back().push_back(std::move(tensor));
  }
  check(!parts_.empty(), "a model has tensors");
  begin_file();
}

std::string ModelFolderWriter::file_name(std::size_t index) const {
  if (parts_.size() == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, parts_.size());
}

void ModelFolderWriter::begin_file() {
  writer_.emplace(writing_ / file_name(part_), dtype_, parts_[part_]);
  left_ = part_elements_[part_];
}

void ModelFolderWriter::append(const double* values, std::uint64_t count) {
  if (left_ == 0) {
    writer_->finish();
    writer_.reset();
    ++part_;
    begin_file();
  }
  writer_->append(values, count);
  left_ -= count;
}

void ModelFolderWriter::copy_side_file(const fs::path& file) {
  write_side_file(file.filename().string(), read_file(file, kSideFileLimit));
}

void ModelFolderWriter::write_side_file(const std::string& name, std::string_view content) {
  write_file_atomically(writing_ / name, content);
}

void ModelFolderWriter::write_index() const {
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  std::uint64_t bytes = 0;
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    for (const SafetensorsWriter::Tensor& tensor : parts_[part]) {
      append_member(map, tensor.name, file_name(part));
      bytes += tensor.elements() * static_cast<std::uint64_t>(dtype_size(dtype_));
    }
  }
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
  write_file_atomically(writing_ / "model.safetensors.index.json", index.dump(2) + "\n");
}

void ModelFolderWriter::finish_weights() {
  if (weights_finished_) return;
  writer_->finish();
  writer_.reset();
  check(left_ == 0 && part_ + 1 == parts_.size(), "every tensor was written");
  if (parts_.size() > 1) write_index();
  weights_finished_ = true;
}

std::map<std::string, std::string> ModelFolderWriter::hashes() {
  finish_weights();
  std::map<std::string, std::string> hashes;
  for (const fs::path& file : list_folder(writing_)) hashes[file.filename().string()] = sha256_file(file);
  return hashes;
}

void ModelFolderWriter::finish() {
  finish_weights();
  sync_to_disk(writing_);
  rename_into_place(writing_, folder_, Existing::keep);
  staging_.reset();
}

}  // namespace expunge
