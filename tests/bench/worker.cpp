// Training steps and evaluations by the library that the program itself uses, asked for line by line.
#include "bench/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>

#include "bench/timed_communicator.h"
#include "bench/timed_kernels.h"
#include "core/random.h"
#include "inference/scorer.h"
#include "inference/scoring_model.h"
#include "plan/memory.h"
#include "run/options.h"
#include "session/session.h"
#include "store/weights.h"
#include "training/reference.h"
#include "training/trainer.h"

namespace expunge::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

LlamaConfig model_config(const Json& work) {
  LlamaConfig config;
  config.hidden_size = work.at("dim");
  config.intermediate_size = work.at("mlp");
  config.num_hidden_layers = work.at("layers");
  config.num_attention_heads = work.at("heads");
  config.num_key_value_heads = work.value("kv_heads", config.num_attention_heads);
  config.head_dim = config.hidden_size / config.num_attention_heads;
  config.vocab_size = work.value("vocabulary", 32000);
  config.max_position_embeddings = 8192;
  return config;
}

bool unlearns(const Json& work) { return work.at("task") == "unlearn" || work.at("task") == "kl"; }

/// Random sequences of the lengths asked for, the first half of them to forget where the work is to unlearn.
fs::path write_tokens(const Json& work, const fs::path& folder) {
  const std::vector<std::size_t> lengths = work.at("lengths");
  const auto vocabulary = static_cast<std::uint64_t>(model_config(work).vocab_size);
  const fs::path path = folder / "tokens.h5";
  TokenFileWriter writer(path, {"", vocabulary, 8192});
  const auto write = [&](const char* split, std::size_t begin, std::size_t end) {
    writer.begin_split("bench", split);
    for (std::size_t s = begin; s < end; ++s) {
      std::vector<std::int32_t> ids(lengths[s]);
      for (std::size_t t = 0; t < ids.size(); ++t)
        ids[t] = static_cast<std::int32_t>(random_below(1, s, t, vocabulary - 3)) + 3;
      writer.add_document(ids);
    }
    writer.end_split("random", "");
  };
  const std::size_t forget = unlearns(work) ? lengths.size() / 2 : 0;
  if (forget > 0) write("forget", 0, forget);
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
RunOptions train_config(const Json& work) {
  const std::vector<std::int64_t> lengths = work.at("lengths");
  RunOptions config;
  config.command = "train";
  config.schedule.max_steps = 1000000;
  config.batch.global = static_cast<std::int64_t>(lengths.size());
  config.batch.micro_batch_tokens = work.at("micro_batch_tokens");
  config.method.name = work.at("task") == "kl" ? "ascent_plus_kl_divergence" : "ascent_plus_descent";
  config.samples.shuffle = false;
  return config;
}

/// What a contestant does when it is told to run.
class Work {
 public:
  virtual ~Work() = default;
  virtual void run() = 0;
};

/// The policies that the work names, or with "auto" those that the program would choose.
Policies policies_of(const Session& session, const Json& work, DType dtype) {
  const std::vector<int> lengths = work.at("lengths");
  const RunShape shape{.model = model_config(work),
                       .world_size = session.world_size(),
                       .tokens = std::max(std::ranges::max(lengths), work.at("micro_batch_tokens").get<int>()),
                       .dtype = dtype,
                       .reference_model = work.at("task") == "kl",
                       .device = session.runtime().device.type};
  const std::string gather = work.at("gather");
  if (gather == "auto")
    return choose_policies(shape, GatherPolicy::automatic, RecomputePolicy::automatic, session.available_memory());
  return choose_policies(shape, gather == "per-step" ? GatherPolicy::per_step : GatherPolicy::per_micro_step,
                         RecomputePolicy::none, session.available_memory());
}

WeightsSource random_model(const Json& work) { return {WeightsSource::Kind::initial, {}, {}, model_config(work)}; }

template <Element T>
class Training final : public Work {
 public:
  Training(const Runtime& runtime, const Json& work, const TokenFile& tokens, const Policies& policies)
      : config_(train_config(work)),
        objective_(unlearns(work) ? make_objective(config_.method) : make_descent()),
        data_(tokens, sources(work), config_.samples, model_config(work).vocab_size),
        params_(runtime, llama_units(model_config(work), runtime.comm.size()),
                {policies.gather == GatherPolicy::per_step, true, false}, true),
        optimizer_(params_, config_.optimizer),
        model_(model_config(work), params_, policies.recompute) {
    load_weights(random_model(work), 1, false, params_);
    const int tokens_at_once = largest_micro_batch(config_.batch, static_cast<std::int64_t>(data_.longest()));
    model_.reserve(tokens_at_once, true);
    TrainingInputs<T> task{*objective_, data_};
    if (uses_reference(*objective_)) {
      task.reference =
          &reference_
               .emplace(runtime, random_model(work), ShardingOptions{policies.gather == GatherPolicy::per_step, true, false},
                        config_.samples.seed, false)
               .model;
      task.reference->reserve(tokens_at_once, false);
    }
    trainer_.emplace(RunLength(config_.schedule, config_.batch, false, data_.items()),
                     TrainerOptions{config_.schedule, config_.batch}, model_, optimizer_, std::move(task));
  }
  void run() override { trainer_->step(); }

 private:
  static std::vector<RoleSplit> sources(const Json& work) {
    if (!unlearns(work)) return {{"bench/retain", Role::retain}};
    return {{"bench/forget", Role::forget}, {"bench/retain", Role::retain}};
  }

  RunOptions config_;
  std::unique_ptr<Objective> objective_;
  TrainingData data_;
  ShardedParams<T> params_;
  Optimizer<T> optimizer_;
  Llama<T> model_;
  std::optional<ReferenceModel<T>> reference_;
  std::optional<Trainer<T>> trainer_;
};

template <Element T>
class Evaluation final : public Work {
 public:
  Evaluation(const Runtime& runtime, const Json& work, const TokenFile& tokens)
      : split_(tokens.split("bench/retain", static_cast<std::uint64_t>(model_config(work).vocab_size))),
        batching_{1, work.at("micro_batch_tokens"), 0},
        params_(runtime, llama_units(model_config(work), runtime.comm.size()), {true, true, false}, false),
        model_(model_config(work), params_, Recompute::none) {
    load_weights(random_model(work), 1, false, params_);
  }
  void run() override { evaluate_split(model_, split_, batching_); }

 private:
  TokenSplit split_;
  EvaluationBatching batching_;
  ShardedParams<T> params_;
  Llama<T> model_;
};

DType dtype_of(const Json& work) { return work.at("dtype") == "bfloat16" ? DType::bfloat16 : DType::float32; }

std::unique_ptr<Work> make_work(const Runtime& runtime, const Json& work, const TokenFile& tokens, const Policies& policies) {
  return in_element_type(dtype_of(work), [&]<Element T>(std::type_identity<T>) -> std::unique_ptr<Work> {
    if (work.at("task") == "evaluate") return std::make_unique<Evaluation<T>>(runtime, work, tokens);
    return std::make_unique<Training<T>>(runtime, work, tokens, policies);
  });
}

/// What a GPU's answer says of it and of its memory.
void describe_gpu(const Device& device, const Policies& policies, Json& answer) {
  const CudaDeviceInfo gpu = cuda_device_info(device.index);
  answer["gpu"] = gpu.name;
  answer["capability"] = gpu.major;
  answer["policies"] = fmt::format("gather {}, recompute {}", gather_name(policies.gather), recompute_name(policies.recompute));
  answer["planned_bytes"] = policies.memory.total();
  answer["peak_bytes"] = pool_use(device).peak;
}

}  // namespace

int serve(const Json& work) {
  time_kernels();
  Session session({.device = work.value("device", "cpu")}, true);
  TimedCommunicator timed(session.runtime().comm);
  const Device device = session.runtime().device;
  const bool on_gpu = device.type == DeviceType::cuda;
  Communicator& comm = on_gpu ? session.runtime().comm : timed;
  const Runtime runtime{device, session.runtime().compute, session.runtime().communication, comm};
  const fs::path folder = on_root(runtime, [] {
    std::string name = (fs::temp_directory_path() / "expunge-bench-XXXXXX").string();
    return std::string(::mkdtemp(name.data()));
  });
  on_root(runtime, [&] { return write_tokens(work, folder).string(); });
  const TokenFile tokens(folder / "tokens.h5");
  const Policies policies = policies_of(session, work, dtype_of(work));
  const std::unique_ptr<Work> mine = make_work(runtime, work, tokens, policies);
  on_root(runtime, [&] { fs::remove_all(folder); });

  for (std::string line; std::getline(std::cin, line), line = broadcast(runtime, line, 0), !line.empty();) {
    take_costs();
    timed.take_seconds();
    const auto began = std::chrono::steady_clock::now();
    mine->run();
    runtime.compute.synchronize();  // a GPU is still busy with the update
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const double bytes = all_reduce(runtime, static_cast<double>(peak_bytes()), Reduce::sum);
    if (session.rank() != 0) continue;
    Json answer{
        {"seconds", seconds}, {"peak_bytes", bytes}, {"kernels", take_costs()}, {"communication", timed.take_seconds()}};
    if (on_gpu) describe_gpu(device, policies, answer);
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace expunge::bench
