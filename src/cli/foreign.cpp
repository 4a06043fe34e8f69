// Table of other programs' options, with advice for each.
#include "cli/foreign.h"

#include <vector>

namespace expunge {
namespace {

struct Foreign {
  std::string_view advice;
  std::vector<std::string_view> keys;  ///< a trailing '*' matches every key with that prefix
};

const std::vector<Foreign>& table() {
  static const std::vector<Foreign> rows = {
      // The released code of the study (yaojin17/Unlearning_LLM).
      {"use --model",
       {"model-name-or-path", "target-model-name-or-path", "unlearned-model-name-or-path", "model-path", "model-name",
        "model-path-or-name", "pretrained-model-name-or-path"}},
      {"use the subcommand expunge unlearn", {"do-unlearn"}},
      {"use the subcommand expunge train", {"do-train"}},
      {"use the subcommand expunge eval, or expunge mia for membership inference",
       {"do-eval", "do-predict", "do-unlearn-eval"}},
      {"use the subcommand expunge mia", {"do-mia", "mia"}},
      {"use --reference-model", {"reference-model-path", "reference-model-name-or-path", "ref-model"}},
      {"use --method", {"unlearn-method"}},
      {"it is what --method random_label does unless --top-k, --top-p or --rm-groundtruth is given; leave it out",
       {"completely-random"}},
      {"labels are ids here, drawn by --top-k and --top-p; leave it out", {"use-soft-labels", "soft-label"}},
      {"they belong to expunge unlearn", {"top-k", "top-p", "rm-groundtruth", "general", "positive-ratio", "positive-factor"}},
      {"a model is trained from scratch with expunge train --init-config config.json",
       {"model-type", "config-name", "config-overrides"}},
      {"text is tokenised beforehand, by expunge tokenize --tokenizer MODEL_DIR",
       {"tokenizer-name", "tokenizer-name-or-path", "tokenizer-path", "use-fast-tokenizer"}},
      {"the length of sequences is set when text is tokenised: expunge tokenize --max-length N",
       {"model-max-length", "max-length", "max-seq-length", "block-size"}},
      {"text is read by expunge tokenize --data DIR; give its output to --tokens FILE",
       {"dataset", "dataset-name", "dataset-path", "dataset-config-name", "data-path", "data-dir", "data-files", "train-file",
        "validation-file", "streaming", "keep-linebreaks", "preprocessing-num-workers", "tokenize-method"}},
      {"sequences are packed and nothing is padded; leave it out", {"padding-side", "pad-to-max-length"}},
      {"the splits are those of the token file", {"validation-split-percentage"}},
      {"models are read from local folders: use --model DIR",
       {"cache-dir", "model-revision", "token", "use-auth-token", "trust-remote-code"}},
      {"there is no cache: the token file of expunge tokenize is all there is; leave it out", {"overwrite-cache"}},
      {"use --dtype", {"torch-dtype"}},
      {"it is always so, a rank reads its own share of the weights; leave it out", {"low-cpu-mem-usage"}},
      {"use --output-dir", {"output-sufix", "output-suffix", "output-path", "save-path"}},
      {"the result is one file: use --output FILE", {"output-dir"}},
      {"a run folder is what it clears; expunge eval and expunge mia have --overwrite for their file",
       {"overwrite-output-dir"}},

      // Hugging Face's trainer.
      {"use --bf16; float16 is not supported, its range is too small for training without loss scaling",
       {"fp16", "fp16-*", "half-precision-backend"}},
      {"use --bf16", {"bf16-full-eval"}},
      {"the model is always sharded over the ranks of mpirun or srun; --gather and --recompute trade memory for speed",
       {"deepspeed", "fsdp", "fsdp-*", "sharded-ddp", "parallelism-config", "accelerator-config", "device-map", "auto-device",
        "parallel-mode"}},
      {"weights are not quantised: use --dtype", {"load-in-8bit", "load-in-4bit", "quantization-config"}},
      {"attention never holds a whole matrix of scores; leave it out",
       {"use-flash-attention-2", "use-flash-attn", "attn-implementation"}},
      {"use --recompute block", {"gradient-checkpointing", "gradient-checkpointing-*", "activation-checkpointing*"}},
      {"metrics are written to metrics.h5 in the run folder, with --tensorboard on and --log-jsonl FILE also elsewhere; leave "
       "it out",
       {"report-to", "logging-dir", "run-name", "project", "trackio-*", "include-num-input-tokens-seen"}},
      {"use --logging-steps", {"logging-strategy", "logging-first-step"}},
      {"use --quiet", {"disable-tqdm", "log-level", "log-level-replica", "log-on-each-node"}},
      {"--eval-steps N evaluates inside the run, --stop-at ends it in time; expunge eval does the rest",
       {"evaluation-strategy", "evaluate-during-training", "eval-strategy", "eval-steps", "eval-delay", "eval-on-start",
        "eval-accumulation-steps", "load-best-model-at-end", "metric-for-best-model", "greater-is-better",
        "prediction-loss-only", "eval-do-concat-batches", "eval-use-gather-object", "batch-eval-metrics", "include-for-metrics",
        "include-inputs-for-metrics", "past-index"}},
      {"use --save-steps; 0 saves after the last step only", {"save-strategy"}},
      {"checkpoints are whole and one for all ranks; expunge export writes safetensors; leave it out",
       {"save-safetensors", "save-only-model", "save-on-each-node", "enable-jit-checkpoint"}},
      {"nothing is uploaded: expunge export --checkpoint RUN --output-dir DIR writes a folder that other tools upload; leave "
       "it out",
       {"push-to-hub*", "hub-*"}},
      {"use --per-device-train-batch-size", {"per-gpu-train-batch-size", "train-batch-size", "batch-size"}},
      {"use --per-device-eval-batch-size", {"per-gpu-eval-batch-size", "eval-batch-size"}},
      {"use --micro-batch-tokens",
       {"auto-find-batch-size", "group-by-length", "length-column-name", "train-sampling-strategy"}},
      {"the optimizer is AdamW; set --adam-beta1, --adam-beta2, --adam-epsilon and --weight-decay",
       {"optim", "optim-args", "optim-target-modules", "adafactor"}},
      {"the schedule is set by --lr-scheduler-type, --warmup-ratio and --warmup-steps", {"lr-scheduler-kwargs"}},
      {"it has no counterpart here; leave it out",
       {"label-smoothing-factor",
        "neftune-noise-alpha",
        "average-tokens-across-devices",
        "remove-unused-columns",
        "label-names",
        "ray-scope",
        "skip-memory-metrics",
        "debug",
        "logging-nan-inf-filter",
        "use-legacy-prediction-loop",
        "use-liger-kernel",
        "liger-kernel-config",
        "torch-compile*",
        "torchdynamo",
        "jit-mode-eval",
        "use-ipex",
        "use-cache",
        "torch-empty-cache-steps",
        "ignore-data-skip",
        "restore-callback-states-from-checkpoint",
        "full-determinism"}},
      {"batches come straight from the token file, without workers; leave it out",
       {"dataloader-*", "dispatch-batches", "split-batches"}},
      {"use --device", {"no-cuda", "use-cpu", "use-mps-device"}},
      {"use --seed", {"data-seed"}},
      {"use --learning-rate", {"lr"}},
      {"use --num-train-epochs", {"epochs", "num-epochs"}},

      // torchrun and torch.distributed.
      {"ranks come from the launcher: mpirun -n N expunge ... or srun --mpi=pmix -n N expunge ...",
       {"local-rank", "nproc-per-node", "nnodes", "node-rank", "master-addr", "master-port", "rdzv-*", "ddp-*", "tpu-*",
        "n-gpu", "mp-parameters"}},
  };
  return rows;
}

bool matches(std::string_view pattern, std::string_view key) {
  return pattern.ends_with('*') ? key.starts_with(pattern.substr(0, pattern.size() - 1)) : key == pattern;
}

}  // namespace

std::optional<std::string> advice_for_foreign(std::string_view key) {
  for (const Foreign& foreign : table())
    for (const std::string_view pattern : foreign.keys)
      if (matches(pattern, key)) return std::string(foreign.advice);
  return std::nullopt;
}

}  // namespace expunge
