// Options of the study's scripts and of Hugging Face's trainer: each is ours, or refused with a word on what to use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audit/membership.h"
#include "cli/foreign.h"
#include "cli/suggest.h"
#include "command_lines.h"
#include "run/options.h"

namespace expunge {
namespace {

using testing::HasSubstr;

/// Every field of the argument classes of the released run_unlearn.py, run_eval.py and run_mia.py.
const std::vector<std::string> kStudy = {
    "model_name_or_path", "model_type", "config_overrides", "config_name", "tokenizer_name", "cache_dir", "use_fast_tokenizer",
    "model_revision", "token", "use_auth_token", "trust_remote_code", "torch_dtype", "low_cpu_mem_usage", "model_max_length",
    "target_model_name_or_path", "dataset_name", "dataset_config_name", "train_file", "validation_file", "max_train_samples",
    "max_eval_samples", "streaming", "block_size", "overwrite_cache", "validation_split_percentage",
    "preprocessing_num_workers", "keep_linebreaks", "output_sufix", "do_unlearn", "do_unlearn_eval", "unlearn_method",
    "completely_random", "top_k", "top_p", "use_soft_labels", "rm_groundtruth", "unlearned_model_name_or_path", "domain",
    "general", "tokenizer_name_or_path", "positive_ratio", "positive_factor",
    // of the functions behind them
    "model_path_or_name", "auto_device", "device_map", "use_flash_attention_2", "padding_side", "dataset_path", "data_path",
    "data_files", "tokenize_method", "soft_label", "save_path", "parallel_mode", "n_gpu"};

/// Fields of transformers' TrainingArguments, of the version that the study pins and of today's.
const std::vector<std::string> kTrainer = {
    "output_dir", "overwrite_output_dir", "do_train", "do_eval", "do_predict", "evaluation_strategy", "prediction_loss_only",
    "per_device_train_batch_size", "per_device_eval_batch_size", "per_gpu_train_batch_size", "per_gpu_eval_batch_size",
    "gradient_accumulation_steps", "eval_accumulation_steps", "eval_delay", "learning_rate", "weight_decay", "adam_beta1",
    "adam_beta2", "adam_epsilon", "max_grad_norm", "num_train_epochs", "max_steps", "lr_scheduler_type", "lr_scheduler_kwargs",
    "warmup_ratio", "warmup_steps", "log_level", "log_level_replica", "log_on_each_node", "logging_dir", "logging_strategy",
    "logging_first_step", "logging_steps", "logging_nan_inf_filter", "save_strategy", "save_steps", "save_total_limit",
    "save_safetensors", "save_on_each_node", "no_cuda", "use_cpu", "use_mps_device", "seed", "data_seed", "jit_mode_eval",
    "use_ipex", "bf16", "fp16", "fp16_opt_level", "half_precision_backend", "bf16_full_eval", "fp16_full_eval", "tf32",
    "local_rank", "ddp_backend", "tpu_num_cores", "tpu_metrics_debug", "debug", "dataloader_drop_last", "eval_steps",
    "dataloader_num_workers", "past_index", "run_name", "disable_tqdm", "remove_unused_columns", "label_names",
    "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "ignore_data_skip", "sharded_ddp", "fsdp",
    "fsdp_min_num_params", "fsdp_config", "fsdp_transformer_layer_cls_to_wrap", "deepspeed", "label_smoothing_factor", "optim",
    "optim_args", "adafactor", "group_by_length", "length_column_name", "report_to", "ddp_find_unused_parameters",
    "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "dataloader_pin_memory", "skip_memory_metrics", "use_legacy_prediction_loop",
    "push_to_hub", "resume_from_checkpoint", "hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push",
    "gradient_checkpointing", "gradient_checkpointing_kwargs", "include_inputs_for_metrics", "fp16_backend",
    "push_to_hub_model_id", "push_to_hub_organization", "push_to_hub_token", "mp_parameters", "auto_find_batch_size",
    "full_determinism", "torchdynamo", "ray_scope", "ddp_timeout", "torch_compile", "torch_compile_backend",
    "torch_compile_mode", "dispatch_batches", "split_batches", "include_num_input_tokens_seen", "neftune_noise_alpha",
    // newer
    "optim_target_modules", "average_tokens_across_devices", "activation_checkpointing", "activation_checkpointing_kwargs",
    "use_liger_kernel", "liger_kernel_config", "use_cache", "torch_empty_cache_steps", "project", "trackio_space_id",
    "trackio_bucket_id", "trackio_static_space_id", "eval_strategy", "eval_on_start", "eval_do_concat_batches",
    "eval_use_gather_object", "include_for_metrics", "batch_eval_metrics", "save_only_model", "enable_jit_checkpoint",
    "hub_revision", "restore_callback_states_from_checkpoint", "accelerator_config", "parallelism_config",
    "train_sampling_strategy", "dataloader_prefetch_factor", "dataloader_persistent_workers",
    "dataloader_multiprocessing_context", "dataloader_in_order", "ddp_static_graph"};

TEST(Foreign, EveryOptionOfTheStudyAndTheTrainerIsOursOrRefusedWithAdvice) {
  RunOptions train, unlearning;
  EvalConfig eval;
  MembershipConfig mia;
  TokenizeOptions tokenize;
  ExportConfig exporting;
  std::vector<std::string> ours;
  for (const auto& keys : {train_options(train).keys(), unlearn_options(unlearning).keys(), eval_options(eval).keys(),
                           mia_options(mia).keys(), tokenize_options(tokenize).keys(), export_options(exporting).keys()})
    ours.insert(ours.end(), keys.begin(), keys.end());
  for (const auto* names : {&kStudy, &kTrainer})
    for (std::string name : *names) {
      std::replace(name.begin(), name.end(), '_', '-');
      const bool is_ours = std::find(ours.begin(), ours.end(), name) != ours.end();
      EXPECT_TRUE(is_ours || advice_for_foreign(name)) << name;
    }
}

/// An option that is named as advice exists.
TEST(Foreign, AdviceNamesOptionsThatExist) {
  RunOptions train, unlearning;
  EvalConfig eval;
  TokenizeOptions tokenize;
  ExportConfig exporting;
  std::vector<std::string> ours;
  for (const auto& keys : {train_options(train).keys(), unlearn_options(unlearning).keys(), eval_options(eval).keys(),
                           tokenize_options(tokenize).keys(), export_options(exporting).keys()})
    ours.insert(ours.end(), keys.begin(), keys.end());
  for (const auto* names : {&kStudy, &kTrainer})
    for (std::string name : *names) {
      std::replace(name.begin(), name.end(), '_', '-');
      const std::string advice = advice_for_foreign(name).value_or("");
      for (auto at = advice.find("--"); at != std::string::npos; at = advice.find("--", at + 2)) {
        const std::string option = advice.substr(at + 2, advice.find_first_of(" ,;", at) - at - 2);
        EXPECT_TRUE(option == "mpi=pmix" || std::find(ours.begin(), ours.end(), option) != ours.end()) << advice;
      }
    }
}

TEST(Foreign, MessagesNameOurs) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"--model_name_or_path x", "--model-name-or-path is not an option of expunge unlearn: use --model"},
      {"--target_model_name_or_path x", "use --model"},
      {"--do_unlearn", "use the subcommand expunge unlearn"},
      {"--unlearn_method gradient_ascent", "use --method"},
      {"--fsdp full_shard", "always sharded"},
      {"--fsdp_transformer_layer_cls_to_wrap LlamaDecoderLayer", "always sharded"},
      {"--deepspeed ds.json", "always sharded"},
      {"--gradient_checkpointing True", "use --recompute block"},
      {"--fp16", "use --bf16"},
      {"--report_to wandb", "metrics.h5"},
      {"--evaluation_strategy steps", "expunge eval"},
      {"--save_strategy no", "use --save-steps"},
      {"--per_gpu_train_batch_size 1", "use --per-device-train-batch-size"},
      {"--optim adamw_torch", "the optimizer is AdamW"},
      {"--dataloader_num_workers 4", "without workers"},
      {"--ddp_timeout 3", "ranks come from the launcher"},
      {"--local_rank 0", "ranks come from the launcher"},
      {"--nproc_per_node=8", "ranks come from the launcher"},
      {"--model_max_length 4096", "expunge tokenize --max-length N"},
      {"--overwrite_cache", "leave it out"},
      {"--completely_random True", "it is what --method random_label does"},
      {"--dataset_path d", "give its output to --tokens FILE"},
      {"--data_path d", "give its output to --tokens FILE"},
      {"--device_map auto", "always sharded"},
      {"--use_flash_attention_2 True", "leave it out"},
      {"--load_in_8bit True", "use --dtype"},
      {"--push_to_hub True", "expunge export --checkpoint RUN --output-dir DIR"},
      {"--hub_model_id me/mine", "expunge export --checkpoint RUN --output-dir DIR"},
  };
  for (const auto& [line, message] : table) {
    SCOPED_TRACE(line);
    const std::string said = refusal([&] { unlearn(line); });
    EXPECT_THAT(said, HasSubstr(message));
    EXPECT_THAT(said, HasSubstr("is not an option of expunge unlearn: "));
  }
}

/// The README command line of the released code: all that must change is said in one go.
TEST(Foreign, TheStudysCommandLineIsAnsweredWhole) {
  RunOptions c;
  const std::string said = refusal([&] {
    parse_into(
        c, unlearn_options,
        words("--target_model_name_or_path ../../models/Yi-6B --per_device_train_batch_size 1 --do_unlearn --output_dir "
              "./output --overwrite_output_dir --num_train_epochs 1 --logging_steps 1 --learning_rate 2e-5 --warmup_ratio "
              "0.03 --overwrite_cache --save_total_limit 1 --fsdp full_shard --fsdp_transformer_layer_cls_to_wrap "
              "LlamaDecoderLayer --bf16 True --tf32 True --weight_decay 0. --lr_scheduler_type cosine --domain github "
              "--gradient_accumulation_steps 85 --unlearn_method gradient_ascent"));
  });
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 5) << said;
  for (const char* key : {"--target-model-name-or-path", "--do-unlearn", "--overwrite-cache", "--fsdp ",
                          "--fsdp-transformer-layer-cls-to-wrap", "--unlearn-method"})
    EXPECT_THAT(said, HasSubstr(key));
}

/// The same for its command line of membership inference.
TEST(Foreign, TheStudysAttackIsAnsweredWhole) {
  MembershipConfig c;
  const std::string said = refusal([&] {
    parse_into(c, mia_options,
               words("--model_name_or_path ./output/unlearned --per_device_eval_batch_size 1 --do_eval --output_dir ./mia "
                     "--overwrite_output_dir --overwrite_cache --domain github"));
  });
  for (const char* part : {"--model-name-or-path is not an option of expunge mia: use --model", "expunge mia for membership",
                           "use --output FILE", "expunge mia have --overwrite", "there is no cache"})
    EXPECT_THAT(said, HasSubstr(part));
}

TEST(Foreign, UnknownNamesGetNoAdvice) {
  EXPECT_FALSE(advice_for_foreign("fsdpx"));
  EXPECT_FALSE(advice_for_foreign("learning-rat"));
  EXPECT_FALSE(advice_for_foreign(""));
}

TEST(Suggest, DistanceCountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("", "ab"), 2u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("seed", "sede"), 1u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // the restricted form does not edit between swapped letters
}

TEST(Suggest, OnlyWhatIsNear) {
  const std::vector<std::string> known = {"learning-rate", "seed", "model", "tokens", "method"};
  EXPECT_EQ(nearest("learnign-rate", known), "learning-rate");
  EXPECT_EQ(nearest("lerning-rte", known), "learning-rate");
  EXPECT_EQ(nearest("sead", known), "seed");
  EXPECT_EQ(nearest("modle", known), "model");
  EXPECT_EQ(nearest("learn", known), std::nullopt);
  EXPECT_EQ(nearest("xyz", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
  EXPECT_EQ(nearest("seed", {}), std::nullopt);
}

}  // namespace
}  // namespace expunge
