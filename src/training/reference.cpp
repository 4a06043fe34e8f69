// Prepares a method before its first step, or reads what the run's first start stored.
#include "training/reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "data/tokenizer.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hash.h"
#include "io/hdf5_seal.h"
#include "run/results/reference.h"
#include "run/run_mark.h"
#include "training/drawn_labels.h"
#include "training/trainer.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// Ids whose labels are not replaced.
std::vector<std::int32_t> special_ids(const WeightsSource& source) {
  if (!fs::exists(source.side_files / "tokenizer.model")) return {};
  const Tokenizer tokenizer(source.side_files);
  std::vector<std::int32_t> special;
  for (const auto& id : {tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.id("<unk>"), tokenizer.id("<pad>")})
    if (id) special.push_back(*id);
  return special;
}

/// The batching of a pass that needs no more memory than a training step, for which memory is planned.
EvaluationBatching batching(const BatchOptions& batch, const TrainingData& data, const std::function<bool()>& cut_short) {
  const int largest = largest_micro_batch(batch, static_cast<std::int64_t>(data.longest()));
  const std::int64_t packed = std::min<std::int64_t>(batch.micro_batch_tokens, largest);
  return {static_cast<std::size_t>(std::min(batch.per_device, batch.global)), static_cast<std::size_t>(packed), 0, cut_short};
}

std::size_t forget_source(const TrainingData& data) {
  for (std::size_t s = 0; s < data.sources(); ++s)
    if (data.source(s).role == Role::forget) return s;
  fail(ExitCode::internal, "the method has no forget set");
}

void require(const fs::path& path, bool sealed) {
  const char* wrong = nullptr;
  if (!fs::exists(path))
    wrong = "missing";
  else if (sealed && read_seal(path).state != Seal::State::whole)
    wrong = kBrokenSeal;
  if (wrong)
    fail(ExitCode::bad_input,
         fmt::format("{}: {}; only the original model could make it again: restore it to resume, or start again with "
                     "--overwrite-output-dir",
                     path.string(), wrong));
}

/// A start that was killed after writing both files is followed by one that writes them again, so an equal file may exist.
bool is_copy(const fs::path& file, const fs::path& labels) {
  return fs::exists(file) && fs::exists(labels) && sha256_file(file) == sha256_file(labels);
}

void save_labels(const RunFolder& run, const fs::path& file) {
  if (!is_copy(file, run.labels())) copy_file_atomically(run.labels(), file, Existing::keep);
}

}  // namespace

std::string give_labels(const Runtime& runtime, const fs::path& path, const std::string& tokens_sha256,
                        const WeightsSource& source, TrainingData& data) {
  const auto hash = [&] { return on_root(runtime, [&] { return sha256_file(path); }); };
  const std::string sha256 = hash();
  bool any = false;
  for (std::size_t s = 0; s < data.sources(); ++s) {
    auto labels = read_labels(path, data.source(s).split, data.split(s), source.config.vocab_size);
    if (!labels) continue;
    data.set_labels(s, std::move(*labels));
    any = true;
  }
  if (!any) fail(ExitCode::bad_input, fmt::format("{}: has no labels for {}", path.string(), data.source(0).split));
  if (const std::string other = read_label_origin(path).tokens_sha256; other.empty()) {
    if (runtime.comm.rank() == 0)
      log_warning(
          fmt::format("{}: has no attribute tokens_sha256: the lengths of its sequences match, but its token file is unknown",
                      path.string()));
  } else if (other != tokens_sha256) {
    fail(ExitCode::bad_input, fmt::format("{}: its labels are for another token file (tokens_sha256 {}, the run's is {})",
                                          path.string(), other, tokens_sha256));
  }
  if (hash() != sha256)
    fail(ExitCode::bad_input,
         fmt::format("{}: changed while it was read; start again when no other program writes it", path.string()));
  return sha256;
}

void check_saved_labels(const LabelOptions& options, const RunFolder& run) {
  const fs::path& file = options.save;
  if (file.empty()) return;
  if (fs::exists(file) && !is_copy(file, run.labels()))
    fail(ExitCode::output, fmt::format("--save-labels {}: exists already; remove it or give another name", file.string()));
  check_writable(file);
}

template <Element T>
ReferenceModel<T>::ReferenceModel(const Runtime& runtime, const WeightsSource& source, const ShardingOptions& sharding,
                                  std::uint64_t seed, bool bf16_master_weights)
    : params(runtime, llama_units(source.config, runtime.comm.size()),
             {sharding.gather_once_per_step, sharding.prefetch, false}, false),
      model(source.config, params, Recompute::none) {
  load_weights(source, seed, bf16_master_weights, params);
}

bool uses_reference(const Objective& objective) {
  return std::ranges::any_of(objective.terms(), [](const Term& term) { return term.signal.uses_reference(); });
}

template <Element T>
bool prepare_labels(const RunOptions& config, const WeightsSource& source, const RunFolder& run, Llama<T>& model,
                    TrainingData& data, const FirstStart& first) {
  const Runtime& runtime = model.params().runtime();
  if (!config.labels.given.empty() || config.command == "train" || !find_method(config.method.name).replaces_labels)
    return true;
  if (!first.now) {
    require(run.labels(), false);
  } else {
    const std::size_t forget = forget_source(data);
    const TokenSplit& split = data.split(forget);
    const Labels labels = config.labels.from_model()
                              ? draw_model_labels(model, split, config.labels, config.released, config.samples.seed,
                                                  batching(config.batch, data, first.cut_short))
                              : draw_uniform_labels(split, config.samples.seed, source.config.vocab_size, special_ids(source));
    if (labels.empty()) return false;
    check_drawn(config.input.model.string(), data.source(forget).split, split, labels);
    on_root(runtime, [&] {
      PendingFile pending(run.labels());
      write_labels(pending.temporary(), data.source(forget).split, split, labels,
                   [&](Hdf5File& file) { write_provenance(file, first.provenance); });
      mark_file(run, run.labels().filename(), sha256_file(pending.temporary()));
      pending.commit();
      if (!config.labels.save.empty()) save_labels(run, config.labels.save);
    });
    log_info(fmt::format("labels of {} sequences drawn {}", split.sequences(),
                         config.labels.from_model() ? "from the original model" : "uniformly"));
  }
  give_labels(runtime, run.labels(), first.provenance.tokens_sha256, source, data);
  return true;
}

fs::path labels_file(const LabelOptions& options, const RunFolder& run) {
  return options.given.empty() ? run.labels() : options.given;
}

std::string hash_if_there(const Runtime& runtime, const fs::path& path) {
  return on_root(runtime, [&] { return fs::exists(path) ? sha256_file(path) : std::string(); });
}

template <Element T>
bool prepare_reference_nll(const BatchOptions& batch, const RunFolder& run, Llama<T>& model, const TrainingData& data,
                           const FirstStart& first, std::vector<double>& nll) {
  const std::size_t forget = forget_source(data);
  const std::string& split = data.source(forget).split;
  if (!first.now) {
    require(run.reference(), true);
  } else {
    std::vector<double> sums;
    for (const SequenceMetrics& sequence : evaluate_split(model, data.split(forget), batching(batch, data, first.cut_short)))
      sums.push_back(sequence["nll"] * static_cast<double>(sequence.targets));
    if (sums.empty()) return false;
    on_root(model.params().runtime(), [&] { write_reference_nll(run.reference(), split, sums, first.provenance); });
  }
  nll = read_reference_nll(run.reference(), split, data.split(forget).sequences(), first.provenance);
  return true;
}

#define EXPUNGE_METHOD_SETUP(T)                                                                                     \
  template struct ReferenceModel<T>;                                                                                \
  template bool prepare_labels(const RunOptions&, const WeightsSource&, const RunFolder&, Llama<T>&, TrainingData&, \
                               const FirstStart&);                                                                  \
  template bool prepare_reference_nll(const BatchOptions&, const RunFolder&, Llama<T>&, const TrainingData&,        \
                                      const FirstStart&, std::vector<double>&);
EXPUNGE_METHOD_SETUP(float)
EXPUNGE_METHOD_SETUP(bf16)
EXPUNGE_METHOD_SETUP(double)
#undef EXPUNGE_METHOD_SETUP

}  // namespace expunge
