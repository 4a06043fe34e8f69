// What a run is asked to do: the resolved options of the commands that run a model, as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "expunge/core/device.h"
#include "expunge/core/dtype.h"
#include "expunge/unlearn/objective.h"

namespace expunge {

/// When whole weights are gathered and gradients reduced: around every micro-batch, or once per optimizer step.
enum class GatherPolicy { automatic, per_micro_step, per_step };
/// What the backward pass recomputes instead of keeping: nothing; norms and the SwiGLU product; whole blocks.
enum class RecomputePolicy { automatic, none, light, block };
/// What ranks on GPUs talk over: NCCL, or MPI on host memory, so that several may share a GPU.
enum class CommPolicy { automatic, nccl, staged };
enum class ScheduleType { cosine, linear, constant };

/// How the model is computed; shared by every command that runs one.
struct ComputeConfig {
  std::string device = "auto";  ///< auto, cpu, cuda
  DType dtype = DType::float32;
  bool dtype_by_device = false;  ///< neither --dtype nor --bf16 was given: Session::default_dtype() says
  GatherPolicy gather = GatherPolicy::automatic;
  RecomputePolicy recompute = RecomputePolicy::automatic;
  bool prefetch = true;
  CommPolicy comm = CommPolicy::automatic;
  bool tf32 = false;                    ///< TensorFloat-32 products; CUDA alone has them
  bool reduce_in_bf16 = false;          ///< --reduce-dtype bf16
  std::int64_t micro_batch_tokens = 0;  ///< most tokens in a micro-batch; 0: count sequences instead
  double collective_timeout = 1800;     ///< seconds after which ranks that others wait for are given up
};

/// Which retain sequences go with the forget sequences, and how.
struct RetainConfig {
  bool general = false;             ///< general/retain instead of the domain's retain
  std::int64_t positive_ratio = 1;  ///< retain sequences after each forget sequence
  bool repeat = false;              ///< begin the retain set again when it runs out
};

/// What random_label trains on.
struct LabelConfig {
  std::int64_t top_k = 0;  ///< draw from the original model's so many most likely ids; 0: no limit
  double top_p = 1;
  bool rm_groundtruth = false;  ///< the true id is never drawn
  std::filesystem::path given = {}, save = {};
  /// Labels come from the original model, not from a uniform draw.
  bool from_model() const { return top_k > 0 || top_p < 1 || rm_groundtruth; }
};

/// Options of `expunge train` and `expunge unlearn`.
struct TrainConfig {
  std::string command;  ///< "train" or "unlearn"
  std::filesystem::path model, init_config, tokens, output_dir;
  std::string domain;       ///< unlearn
  MethodOptions objective;  ///< unlearn
  RetainConfig retain;
  LabelConfig labels;
  std::string trainable;            ///< regular expression over parameter names; empty: all are trained
  std::vector<std::string> splits;  ///< train: "domain/split"
  ComputeConfig compute;

  double learning_rate = 2e-5;
  double num_train_epochs = 1;
  std::int64_t max_steps = -1;  ///< above 0: overrides num_train_epochs
  std::int64_t per_device_train_batch_size = 1;
  std::int64_t gradient_accumulation_steps = 0;  ///< 0: 1, or what global_batch_size asks for
  std::int64_t global_batch_size = 0;            ///< 0: world x per-device batch x accumulation
  double warmup_ratio = 0;
  std::int64_t warmup_steps = 0;  ///< above 0: overrides warmup_ratio
  ScheduleType schedule = ScheduleType::cosine;
  double weight_decay = 0, max_grad_norm = 1, adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;
  bool bf16_master_weights = false;
  std::uint64_t seed = 42;
  bool shuffle = true;
  std::filesystem::path sample_order;
  std::int64_t max_train_samples = 0;  ///< 0: all

  std::int64_t eval_steps = 0;           ///< 0: no evaluation inside training
  std::vector<std::string> eval_splits;  ///< empty: those of `expunge eval`
  std::int64_t per_device_eval_batch_size = 1, max_eval_samples = 0;
  std::string stop_at;        ///< a condition on the evaluation's figures; empty: none
  double collapse_guard = 3;  ///< stop where a role's mean nll exceeds this many times ln(vocabulary); 0: never

  bool overwrite_output_dir = false;
  std::string resume_from_checkpoint = "auto";  ///< auto, none or a checkpoint folder
  std::int64_t save_steps = 0;                  ///< 0: only after the last step
  std::int64_t save_total_limit = 0;            ///< 0: keep all
  double grace_seconds = 50;                    ///< after a signal, for the optimizer step that is under way
  double max_walltime = 0;                      ///< seconds from the start to the end, checkpoint included; 0: no limit
  std::int64_t logging_steps = 1;
  std::filesystem::path log_jsonl;  ///< a JSON line a step; empty: none
  bool tensorboard = false;         ///< event files in the run folder
  bool quiet = false;

  /// The resolved options as `key = value` lines; what the run folder's `config` holds and --config reads.
  std::string resolved;
  /// The same of a run for which no option was given: what versions did that lacked an option. A new one begins so.
  std::string defaults;
  /// Versions of the program's libraries; what checkpoints say.
  std::string libraries;
};

/// Options of the commands that pass splits through a model and write what it says of them.
struct ScoringConfig {
  std::filesystem::path model, tokens, output;  ///< model: a model folder, a run folder or a checkpoint folder
  std::string domain;
  ComputeConfig compute;
  std::int64_t per_device_eval_batch_size = 1;
  std::int64_t max_eval_samples = 0;  ///< first sequences of each split; 0: all
  bool overwrite = false, quiet = false;
  std::string resolved, libraries;  ///< as in TrainConfig
};

/// Options of `expunge eval`.
struct EvalConfig : ScoringConfig {
  std::vector<std::string> splits;  ///< empty: every split of the domain, and general/evaluation where there is one
  std::filesystem::path compare;    ///< an earlier eval.h5 to print beside the result
};

/// Options of `expunge mia`.
struct MembershipConfig : ScoringConfig {
  std::string members = "forget", non_members = "approximate";  ///< splits of the domain, or "domain/split"
  std::filesystem::path reference_model;                        ///< empty: no attack by reference
  std::uint64_t seed = 42;                                      ///< of the bootstrap
};

/// Options of `expunge plan`.
struct PlanConfig {
  static constexpr std::int64_t kMostRanks = 65'536;

  std::filesystem::path model;  ///< a folder with config.json, which is all that is read of it
  std::int64_t world = 1;
  ComputeConfig compute = {.device = "cuda"};
  double gpu_memory = 0, memory_per_rank = 0;  ///< bytes; the one that the device needs must be set
  std::string method = "gradient_ascent";
  bool retain_kl = false;
  std::int64_t positive_ratio = 1;

  std::int64_t max_length = 4096;
  std::int64_t per_device_train_batch_size = 1;
  std::int64_t gradient_accumulation_steps = 0;
  std::int64_t global_batch_size = 0;  ///< 0: world x per-device batch x accumulation
  std::int64_t max_steps = 1;
  std::int64_t save_steps = 0;

  std::optional<double> tflops = {}, memory_bandwidth = {};  ///< a rank's; GB/s
  std::filesystem::path measured_run = {};                   ///< take the rate of this run's steps
  std::int64_t gpus_per_node = 8;                            ///< ranks, on the CPU
  std::optional<double> node_gbps = {};                      ///< Gbit/s of a rank within its node
  double network_gbps = 400, network_latency_us = 10;        ///< of a rank between nodes
  std::filesystem::path sbatch = {};                         ///< batch script to write
  bool overwrite = false;
};

/// Options of `expunge report`.
struct ReportConfig {
  std::vector<std::string> runs;  ///< run folders, in the order of the report
  std::filesystem::path output;   ///< the HTML page; Markdown and figures lie beside it
  std::vector<std::string>
      before;  ///< evaluations, attacks and tasks of original models, given to the runs that came from them
  std::vector<std::string> after;  ///< of the one run, where they do not lie in its folder as eval.h5, mia.h5, task.h5
  std::string title = "Unlearning report";
  double pretraining_tokens = 0;  ///< 0: not known
  bool overwrite = false, quiet = false;
};

/// Options of the commands that give texts to a model and write what it makes of them.
struct TextConfig {
  std::filesystem::path model, output;  ///< model: a model folder, a run folder or a checkpoint folder
  ComputeConfig compute;
  std::int64_t per_device_eval_batch_size = 8;
  bool overwrite = false, quiet = false;
  std::string resolved, libraries;  ///< as in TrainConfig
};

/// Options of `expunge generate`.
struct GenerateConfig : TextConfig {
  std::filesystem::path prompts;
  std::string prompt_column;          ///< empty: prompt, or else text
  std::optional<int> max_new_tokens;  ///< must be set
  double temperature = 0;             ///< 0: the most likely token each time
  std::int64_t top_k = 0;             ///< 0: all
  double top_p = 1;
  std::uint64_t seed = 42;
  std::vector<std::string> stops;
  std::int64_t num_samples = 1;
};

/// Options of `expunge task`.
struct TaskConfig : TextConfig {
  std::filesystem::path tasks, fewshot_file;  ///< fewshot_file empty: examples are the first items of `tasks`
  std::int64_t num_fewshot = 0;
  std::int64_t max_new_tokens = 256;
};

}  // namespace expunge
