// Training steps and evaluations by the library that the program itself uses, asked for line by line.
#include "bench/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>

#include "bench/timed_communicator.h"
#include "bench/timed_kernels.h"
#include "expunge/core/random.h"
#include "expunge/train/evaluator.h"
#include "expunge/train/model_source.h"
#include "expunge/train/policies.h"
#include "expunge/train/session.h"
#include "expunge/train/trainer.h"
#include "train/scoring.h"

namespace expunge::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kVocabulary = 32000;

LlamaConfig model_config(const Json& work) {
  LlamaConfig config;
  config.hidden_size = work.at("dim");
  config.intermediate_size = work.at("mlp");
  config.num_hidden_layers = work.at("layers");
  config.num_attention_heads = config.num_key_value_heads = work.at("heads");
  config.head_dim = config.hidden_size / config.num_attention_heads;
  config.vocab_size = kVocabulary;
  config.max_position_embeddings = 8192;
  return config;
}

/// Random sequences of the lengths asked for, the first half of them to forget where the work is to unlearn.
fs::path write_tokens(const Json& work, const fs::path& folder) {
  const std::vector<std::size_t> lengths = work.at("lengths");
  const bool mixed = work.at("task") == "unlearn";
  const fs::path path = folder / "tokens.h5";
  TokenFileWriter writer(path, {"", kVocabulary, 8192});
  const auto write = [&](const char* split, std::size_t begin, std::size_t end) {
    writer.begin_split("bench", split);
    for (std::size_t s = begin; s < end; ++s) {
      std::vector<std::int32_t> ids(lengths[s]);
      for (std::size_t t = 0; t < ids.size(); ++t)
        ids[t] = static_cast<std::int32_t>(random_below(1, s, t, kVocabulary - 3)) + 3;
      writer.add_document(ids);
    }
    writer.end_split("random", "");
  };
  const std::size_t forget = mixed ? lengths.size() / 2 : 0;
  if (mixed) write("forget", 0, forget);
  write("retain", forget, lengths.size());
  writer.finish();
  return path;
}

std::int64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

/// The options of a run of which every step takes all sequences in one micro-batch, or in packed ones.
TrainConfig train_config(const Json& work) {
  const std::vector<std::int64_t> lengths = work.at("lengths");
  TrainConfig config;
  config.command = "train";
  config.max_steps = 1000000;
  config.global_batch_size = static_cast<std::int64_t>(lengths.size());
  config.compute.micro_batch_tokens = work.at("micro_batch_tokens");
  config.objective.method = "ascent_plus_descent";
  config.shuffle = false;
  return config;
}

/// What a contestant does when it is told to run.
class Work {
 public:
  virtual ~Work() = default;
  virtual void run() = 0;
};

template <Element T>
class Training final : public Work {
 public:
  Training(const Runtime& runtime, const Json& work, const TokenFile& tokens)
      : config_(train_config(work)),
        objective_(work.at("task") == "unlearn" ? make_objective(config_.objective) : make_descent()),
        data_(tokens, sources(work), config_, kVocabulary),
        params_(runtime, llama_units(model_config(work), runtime.comm.size()), {work.at("gather") == "per-step", true, false},
                true),
        optimizer_(params_, config_),
        model_(model_config(work), params_, Recompute::none),
        trainer_((load_weights({ModelSource::Kind::initial, {}, {}, model_config(work)}, 1, false, params_), config_), model_,
                 optimizer_, Task<T>{*objective_, data_}) {
    model_.reserve(largest_micro_batch(config_, data_), true);
  }
  void run() override { trainer_.step(); }

 private:
  static std::vector<TrainingData::Source> sources(const Json& work) {
    if (work.at("task") != "unlearn") return {{"bench/retain", Role::retain}};
    return {{"bench/forget", Role::forget}, {"bench/retain", Role::retain}};
  }

  TrainConfig config_;
  std::unique_ptr<Objective> objective_;
  TrainingData data_;
  ShardedParams<T> params_;
  Optimizer<T> optimizer_;
  Llama<T> model_;
  Trainer<T> trainer_;
};

template <Element T>
class Evaluation final : public Work {
 public:
  Evaluation(const Runtime& runtime, const Json& work, const TokenFile& tokens)
      : split_(tokens.split("bench/retain", kVocabulary)),
        batching_{1, work.at("micro_batch_tokens"), 0},
        params_(runtime, llama_units(model_config(work), runtime.comm.size()), {true, true, false}, false),
        model_(model_config(work), params_, Recompute::none) {
    load_weights({ModelSource::Kind::initial, {}, {}, model_config(work)}, 1, false, params_);
  }
  void run() override { evaluate_split(model_, split_, batching_); }

 private:
  TokenSplit split_;
  EvaluationBatching batching_;
  ShardedParams<T> params_;
  Llama<T> model_;
};

std::unique_ptr<Work> make_work(const Runtime& runtime, const Json& work, const TokenFile& tokens) {
  const DType dtype = work.at("dtype") == "bfloat16" ? DType::bfloat16 : DType::float32;
  return in_element_type(dtype, [&]<Element T>(std::type_identity<T>) -> std::unique_ptr<Work> {
    if (work.at("task") == "evaluate") return std::make_unique<Evaluation<T>>(runtime, work, tokens);
    return std::make_unique<Training<T>>(runtime, work, tokens);
  });
}

}  // namespace

int serve(const Json& work) {
  Session session({.device = "cpu"}, true);
  TimedCommunicator timed(session.runtime().comm);
  const Runtime runtime{session.runtime().device, session.runtime().compute, session.runtime().communication, timed};
  const fs::path folder = on_root(runtime, [] {
    std::string name = (fs::temp_directory_path() / "expunge-bench-XXXXXX").string();
    return std::string(::mkdtemp(name.data()));
  });
  on_root(runtime, [&] { return write_tokens(work, folder).string(); });
  const TokenFile tokens(folder / "tokens.h5");
  const std::unique_ptr<Work> mine = make_work(runtime, work, tokens);
  on_root(runtime, [&] { return fs::remove_all(folder), std::string(); });

  for (std::string line; std::getline(std::cin, line), line = broadcast(runtime, line, 0), !line.empty();) {
    take_costs();
    timed.take_seconds();
    const auto began = std::chrono::steady_clock::now();
    mine->run();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double bytes = all_reduce(runtime, static_cast<double>(peak_bytes()), Reduce::sum);
    if (session.rank() != 0) continue;
    const Json answer{
        {"seconds", seconds}, {"peak_bytes", bytes}, {"kernels", take_costs()}, {"communication", timed.take_seconds()}};
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace expunge::bench
