// Fuzzes model.safetensors.index.json beside two small safetensors files: an index leads to no other file.
#include "io/model_folder.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

/// The folder, with two files of two tensors each.
const TemporaryFolder& model() {
  static const bool written = [] {
    for (const char* number : {"1", "2"}) {
      const std::string name = number;
      SafetensorsWriter writer(folder() / ("m" + name + ".safetensors"), DType::float32,
                               {{"a" + name, {2, 3}}, {"b" + name, {1}}});
      const std::vector<double> values(7, 0.5);
      writer.append(values.data(), values.size());
      writer.finish();
    }
    return true;
  }();
  require(written, "the model is written");
  return folder();
}

void check(const ModelFolder& opened) {
  require(opened.files().size() <= 2, "only files of the folder are opened");
  for (const std::string& name : opened.names()) {
    std::vector<float> values(opened.info(name).elements());
    opened.read(name, 0, values.size(), values.data());
    require(values.front() == 0.5f, "a tensor is read");
  }
}

}  // namespace
}  // namespace expunge::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  model().write("model.safetensors.index.json", text(data, size));
  accepts(folder().path().string(), [] { check(expunge::ModelFolder(folder().path())); });
  return 0;
}
