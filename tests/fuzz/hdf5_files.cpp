// Writing good HDF5 files, and reading doubtful ones in every way that expunge reads them.
#include "hdf5_files.h"

#include <algorithm>
#include <limits>

#include "commands/inspect.h"
#include "data/label_file.h"
#include "io/hdf5_seal.h"
#include "report/attacks.h"
#include "report/tasks.h"
#include "run/results/mia.h"
#include "run/results/task.h"
#include "run/step_metrics.h"
#include "store/checkpoint_writer.h"
#include "support/lone_rank.h"
#include "target.h"

namespace expunge::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr int kVocabulary = 50;
const TokenFileInfo kInfo{"tokenizer hash", kVocabulary, 8};
constexpr const char* kCheckpoint = "step-000003";

fs::path place(const std::string& name) { return folder() / name; }

void write_tokens(const fs::path& path) {
  TokenFileWriter writer(path, kInfo);
  for (const char* split : {"forget", "retain"}) {
    writer.begin_split("books", split);
    writer.add_document(std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
    writer.add_document(std::vector<std::int32_t>{49, 0, 7, 7, 7});
    writer.end_split("source", "hash");
  }
  writer.finish([](Hdf5File& file) { write_duplicates(file, find_duplicates(file, {"books/forget", "books/retain"}, 0.8)); });
}

/// What the label file belongs to.
TokenSplit split() { return {std::vector<std::int32_t>(18, 1), {0, 8, 13, 18}}; }

UnitLayout unit() {
  UnitLayout layout("block0", 1);
  layout.add({{"norm", {5}}});
  layout.add({{"matrix", {3, 4}}});
  return layout;
}

void write_step() {
  static const LoneRank rank;
  CheckpointInfo info;
  info.step = 3;
  info.global_batch = 4;
  info.world_size = 1;
  info.dtype = "float32";
  info.config = "seed = 42\n";
  StateShards<float> state{{unit()}, {}, {}, {}};
  std::vector<float> values(state.units[0].shard_size(), 0.25f);
  for (auto* shards : {&state.parameters, &state.exp_avg, &state.exp_avg_sq}) shards->push_back(values);
  IoThread io;
  CheckpointWriter<float> writer(rank.runtime(), folder().path(), 0, {}, io);
  writer.start(info, state, false);
  writer.finish();
}

std::vector<GoodFile> write_all() {
  const EvaluationSource source{"model", "model hash", "tokens", "tokens hash", "tokenizer hash", 8, "float32", "cpu"};
  const std::vector<SequenceMetrics> sequences = {summarise_sequence({{-2, -3}, {0, 1}, {}, {}}),
                                                  summarise_sequence({{-1, -2}, {1, 0}, {}, {}})};
  const std::vector<double> low = {-3, -2.5, -2}, high = {-2.25, -1, -0.5};
  write_tokens(place("tokens.h5"));
  write_labels(place("labels.h5"), "books/forget", split(), Labels(18, 3));
  write_step();
  write_evaluation(place("eval.h5"), Existing::replace, source, {{"books/forget", sequences}, {"books/retain", sequences}});
  write_membership(
      place("mia.h5"), Existing::replace,
      {source, "books/forget", "books/approximate", "", "", 42, "document", 1, 1, {0, 1, 3, 0, 1, 2}},
      {{"loss", high, low, summarise_attack(high, low, 42)}, {"zlib", low, high, summarise_attack(low, high, 42)}});
  write_tasks(place("task.h5"), Existing::replace,
              {"model", "hash", "tasks", "hash", "hash", "", "", "hash", "float32", "cpu", 0},
              {{"arc", {0, 1}, {1, 0}, {1, 1}, {0, 0}, {-1, -2, -3, -4}, {0, 2, 4}, {1, 0}, {0, 1}, {}, {}, {}},
               {"gsm8k", {0, 1}, {}, {}, {}, {}, {}, {}, {}, {1, 0}, {1, 0}, {1, 1}}});
  MetricsFile metrics(place("metrics.h5"), 0);
  for (std::int64_t step = 1; step <= 3; ++step)
    metrics.append(std::vector{StepMetrics{step, -1, 1, 1, 1e-5, 1, 100, 10, 1 << 20, 1 << 20}});
  const std::string step = kCheckpoint;
  std::vector<GoodFile> files;
  for (const std::string& name :
       {std::string("tokens.h5"), std::string("labels.h5"), step + "/checkpoint.h5", step + "/shard-00000-of-00001.h5",
        std::string("eval.h5"), std::string("mia.h5"), std::string("task.h5"), std::string("metrics.h5")})
    files.push_back({name, slurp(place(name))});
  return files;
}

void read_tokens(const fs::path& path) {
  const TokenFile file(path);
  if (const auto duplicates = file.duplicates()) describe_duplicates(*duplicates, [](const SharedText&) { return true; });
  for (const std::string& domain : file.domains()) {
    for (const std::string& name : file.splits(domain)) {
      file.counts(domain + "/" + name);
      const TokenSplit tokens = file.split(domain + "/" + name, kVocabulary);
      std::uint64_t total = 0;
      for (std::size_t i = 0; i < tokens.sequences(); ++i) {
        require(tokens.length(i) >= 2 && tokens.length(i) <= file.info().max_length, "a sequence has a length that is allowed");
        total += tokens.length(i);
      }
      require(total == tokens.tokens(), "sequences cover the ids");
      require(tokens.documents().empty() || tokens.documents().size() == tokens.sequences(), "a sequence has one document");
      for (const std::int32_t id : tokens.all_ids()) require(id >= 0 && id < kVocabulary, "an id lies in the vocabulary");
    }
  }
}

void read_label_file(const fs::path& path) {
  const std::optional<Labels> labels = read_labels(path, "books/forget", split(), kVocabulary);
  if (!labels) return;
  require(labels->size() == 18, "there is a label for each token");
  for (const std::int32_t label : *labels)
    require(label == kIgnoredLabel || (label >= 0 && label < kVocabulary), "a label is -100 or lies in the vocabulary");
}

void read_step() {
  const CheckpointReader reader(place(kCheckpoint));
  std::vector<float> narrow(32);
  std::vector<double> wide(32);
  for (const char* group : {"parameters", "exp_avg", "exp_avg_sq"})
    for (const UnitLayout layout = unit(); const ParameterView& view : layout.views()) {
      reader.read<float>(group, view, 0, std::span(narrow).first(view.size));
      reader.read<double>(group, view, 1, std::span(wide).first(view.size - 1));
    }
}

/// Opens as a resumed run does, which changes the file.
void open_metrics(const fs::path& path) {
  MetricsFile metrics(path, 2);
  metrics.append(std::vector{StepMetrics{std::numeric_limits<std::int64_t>::max(), 0, 0, 0, 0, 0, 0, 0, 0, 0}});
}

}  // namespace

const std::vector<GoodFile>& good_files() {
  static const std::vector<GoodFile> files = write_all();
  return files;
}

void read_all_ways(std::size_t which, std::string_view bytes) {
  [[maybe_unused]] static const bool silent = std::freopen("/dev/null", "w", stdout) != nullptr;  // inspect() prints
  const auto& [name, good] = good_files()[which];
  const fs::path path = folder().write(name, bytes), inside = path.parent_path() == folder().path() ? path : path.parent_path();
  const std::string file = path.filename().string();
  accepts(file, [&] { seal_file(path); });  // a broken seal would keep all other damage from being looked at
  accepts(file, [&] { inspect(path); });
  accepts(file, [&] { read_tokens(path); });
  accepts(file, [&] { read_label_file(path); });
  accepts(file, [&] { read_evaluation(open_sealed(path)); });
  accepts(file, [&] {
    const Hdf5File results = open_sealed(path);
    if (is_membership(results))
      read_attacks(results);
    else if (is_tasks(results))
      read_tasks(results);
  });
  if (inside != path) {
    accepts(file, [&] { inspect(inside); });
    accepts(file, [&] { read_step(); });
  }
  if (name == "metrics.h5") accepts(file, [&] { open_metrics(path); });
  folder().write(name, good);
}

}  // namespace expunge::fuzz
