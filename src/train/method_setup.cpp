// Setting up a method before its first step, or finding again what its first start left.
#include "train/method_setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/data/tokenizer.h"
#include "expunge/io/files.h"
#include "expunge/io/hash.h"
#include "expunge/io/hdf5_seal.h"
#include "expunge/train/first_pass.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Ids that keep their place when labels are replaced.
std::vector<std::int32_t> special_ids(const ModelSource& source) {
  if (!fs::exists(source.side_files / "tokenizer.model")) return {};
  const Tokenizer tokenizer(source.side_files);
  std::vector<std::int32_t> special;
  for (const auto& id : {tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.id("<unk>"), tokenizer.id("<pad>")})
    if (id) special.push_back(*id);
  return special;
}

EvaluationBatching batching(const TrainConfig& config) {
  return {static_cast<std::size_t>(config.per_device_train_batch_size),
          static_cast<std::size_t>(config.compute.micro_batch_tokens), 0};
}

std::size_t forget_source(const TrainingData& data) {
  for (std::size_t s = 0; s < data.sources(); ++s)
    if (data.source(s).role == Role::forget) return s;
  fail(ExitCode::internal, "the method has no forget set");
}

void require(const fs::path& path, bool first_start) {
  if (!first_start && !fs::exists(path))
    fail(ExitCode::bad_input,
         fmt::format("{}: missing, and only the original model could make it again; put it back to resume, or "
                     "start afresh with --overwrite-output-dir",
                     path.string()));
}

}  // namespace

void give_labels(const Runtime& runtime, const fs::path& path, const std::string& tokens_sha256, const ModelSource& source,
                 TrainingData& data) {
  bool any = false;
  for (std::size_t s = 0; s < data.sources(); ++s) {
    auto labels = read_labels(path, data.source(s).split, data.split(s), source.config.vocab_size);
    if (!labels) continue;
    data.set_labels(s, std::move(*labels));
    any = true;
  }
  if (!any) fail(ExitCode::bad_input, fmt::format("{}: holds no labels for {}", path.string(), data.source(0).split));
  const Hdf5File file = Hdf5File::open(path);
  if (!file.has_attribute("/", "tokens_sha256")) {
    if (runtime.comm.rank() == 0)
      log_warning(
          fmt::format("{}: has no attribute tokens_sha256: its sequences have the lengths of the run's, but whether it "
                      "was made for their text is not known",
                      path.string()));
    return;
  }
  if (const auto other = file.read_attribute<std::string>("/", "tokens_sha256"); other != tokens_sha256)
    fail(ExitCode::bad_input, fmt::format("{}: labels for another token file (tokens_sha256 {}, the run's is {})",
                                          path.string(), other, tokens_sha256));
}

void check_saved_labels(const TrainConfig& config, const RunFolder& run) {
  const fs::path& file = config.labels.save;
  // A start that died after writing both files is followed by one that writes them again.
  if (file.empty() || fs::exists(run.labels())) return;
  if (fs::exists(file))
    fail(ExitCode::output, fmt::format("--save-labels {}: exists already; remove it or give another name", file.string()));
  check_writable(file);
}

template <Element T>
ReferenceModel<T>::ReferenceModel(const Runtime& runtime, const ModelSource& source, const TrainConfig& config,
                                  GatherPolicy gather)
    : params(runtime, llama_units(source.config, runtime.comm.size()),
             {gather == GatherPolicy::per_step, config.compute.prefetch, false}, false),
      model(source.config, params, Recompute::none) {
  load_weights(source, config.seed, config.bf16_master_weights, params);
}

bool uses_reference(const Objective& objective) {
  return std::ranges::any_of(objective.terms(), [](const Term& term) { return term.signal.uses_reference(); });
}

template <Element T>
void prepare_labels(const TrainConfig& config, const ModelSource& source, const RunFolder& run, Llama<T>& model,
                    TrainingData& data, bool first_start, const Provenance& provenance) {
  const Runtime& runtime = model.params().runtime();
  if (!config.labels.given.empty() || config.command == "train" || !method_info(config.objective.method).replaces_labels)
    return;
  require(run.labels(), first_start);
  if (first_start) {
    const std::size_t forget = forget_source(data);
    const TokenSplit& split = data.split(forget);
    const Labels labels =
        config.labels.from_model()
            ? draw_model_labels(model, split, config.labels, config.objective.released, config.seed, batching(config))
            : draw_uniform_labels(split, config.seed, source.config.vocab_size, special_ids(source));
    check_drawn(config.model.string(), data.source(forget).split, split, labels);
    on_root(runtime, [&] {
      fs::remove(run.labels());  // of a start that died before its first checkpoint
      const auto annotate = [&](Hdf5File& file) { write_provenance(file, provenance); };
      write_labels(run.labels(), data.source(forget).split, split, labels, annotate);
      if (!config.labels.save.empty()) write_labels(config.labels.save, data.source(forget).split, split, labels, annotate);
      return std::string();
    });
    log_info(fmt::format("labels of {} sequences drawn {}", split.sequences(),
                         config.labels.from_model() ? "from the original model" : "uniformly"));
  }
  give_labels(runtime, run.labels(), provenance.tokens_sha256, source, data);
}

fs::path labels_file(const TrainConfig& config, const RunFolder& run) {
  return config.labels.given.empty() ? run.labels() : config.labels.given;
}

std::string hash_labels(const Runtime& runtime, const TrainConfig& config, const RunFolder& run) {
  const fs::path labels = labels_file(config, run);
  return on_root(runtime, [&] { return fs::exists(labels) ? sha256_file(labels) : std::string(); });
}

template <Element T>
std::vector<double> prepare_reference_nll(const TrainConfig& config, const RunFolder& run, Llama<T>& model,
                                          const TrainingData& data, bool first_start, const Provenance& provenance) {
  require(run.reference(), first_start);
  const std::size_t forget = forget_source(data);
  const std::string dataset = "/" + data.source(forget).split + "/nll_sum";
  if (first_start) {
    std::vector<double> sums;
    for (const SequenceFigures& figures : evaluate_split(model, data.split(forget), batching(config)))
      sums.push_back(figures.nll * static_cast<double>(figures.tokens));
    on_root(model.params().runtime(), [&] {
      fs::remove(run.reference());
      PendingFile pending(run.reference());
      Hdf5File file = Hdf5File::create(pending.temporary());
      file.create_dataset<double>(dataset, {sums.size()});
      file.write<double>(dataset, 0, sums);
      write_provenance(file, provenance);
      commit_sealed(file, pending);
      return std::string();
    });
  }
  std::vector<double> sums = Hdf5File::open(run.reference()).read_all<double>(dataset);
  if (sums.size() != data.split(forget).sequences())
    fail(ExitCode::bad_input, fmt::format("{}: {}: expected {} sequences, found {}", run.reference().string(), dataset,
                                          data.split(forget).sequences(), sums.size()));
  return sums;
}

#define EXPUNGE_METHOD_SETUP(T)                                                                                            \
  template struct ReferenceModel<T>;                                                                                       \
  template void prepare_labels(const TrainConfig&, const ModelSource&, const RunFolder&, Llama<T>&, TrainingData&, bool,   \
                               const Provenance&);                                                                         \
  template std::vector<double> prepare_reference_nll(const TrainConfig&, const RunFolder&, Llama<T>&, const TrainingData&, \
                                                     bool, const Provenance&);
EXPUNGE_METHOD_SETUP(float)
EXPUNGE_METHOD_SETUP(bf16)
EXPUNGE_METHOD_SETUP(double)
#undef EXPUNGE_METHOD_SETUP

}  // namespace expunge
