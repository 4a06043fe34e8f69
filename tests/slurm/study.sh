# Inputs of the Slurm tests: settings of the cluster, a model, texts and configurations, in the work folder. Sourced.
# shellcheck shell=bash disable=SC2034

rank_jobs=(--nodes=2 --ntasks-per-node=1 --gpus-per-node=1)

write_env() { # LAUNCHER
  mkdir -p logs
  export EXPUNGE_ENV=$PWD/env EXPUNGE_SLURM=$root/slurm
  cat >env <<ENV
expunge=$expunge
launcher=$1
rank_jobs=(${rank_jobs[*]})
one_process_jobs=(--ntasks=1)
max_restarts=5
ENV
}

# A tiny Llama; enough steps to be met in the middle.
make_small() {
  make_inputs
  "$expunge" "${train[@]}" --learning-rate 1e-3 --max-steps 4 --output-dir base --quiet
  "$expunge" export --checkpoint base --output-dir model --quiet
  max_length=64 steps=${steps:-600}
  cat >study.cfg <<CFG
domain = papers
method = gradient_ascent
learning-rate = 1e-6
lr-scheduler-type = constant
max-steps = $steps
global-batch-size = 6
logging-steps = 10
CFG
  echo "micro-batch-tokens = 512" >measure.cfg
}

# The demo's texts and model; its steps end when its goal is reached.
make_demo() {
  (source "$root/data/demo_model.sh" >demo.log 2>&1) || { tail -n 20 demo.log >&2; die "the demo's model"; }
  "$expunge" export --checkpoint demo/base --output-dir model --quiet
  mv demo/tokens.h5 tokens.h5
  ln -s "$root/data/corpus" texts
  max_length=256 steps=60
  sed -E '/^(model|tokens|logging-steps) *=/d' "$root/configs/demo-unlearn.cfg" >study.cfg
  echo "method = ascent_plus_descent" >>study.cfg
  sed '/^tokens *=/d' "$root/configs/demo-eval.cfg" >measure.cfg
}
