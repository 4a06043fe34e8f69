// Finds and reads a model's weights.
#include "store/weights.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/log.h"
#include "core/parallel.h"
#include "core/random.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/model_folder.h"
#include "store/checkpoint.h"
#include "store/checkpoint_files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

WeightsSource from_checkpoint(const fs::path& checkpoint) {
  const fs::path side_files = side_files_folder(checkpoint);
  return {WeightsSource::Kind::checkpoint, checkpoint, side_files, read_llama_config(side_files / "config.json")};
}

double rounded_to_bf16(double value) { return static_cast<double>(static_cast<float>(bf16(static_cast<float>(value)))); }

/// Calls `read(slice, values)` and then `use(unit, slice, values)` for each of this rank's parameter slices.
template <Element T, typename Read, typename Use>
void for_each_slice(ShardedParams<T>& params, Read read, Use use) {
  std::vector<acc_t<T>> values;
  for (int unit = 0; unit < params.units(); ++unit) {
    for (const ParameterSlice& slice : params.layout(unit).slices(params.runtime().comm.rank())) {
      values.resize(slice.count);
      read(slice, values);
      use(unit, slice, values);
    }
  }
}

/// Passes every slice of this rank, as the source has it, to `use(unit, slice, values)`.
template <Element T, typename Use>
void read_weights(const WeightsSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params, Use use) {
  using A = acc_t<T>;
  const auto rounded = [&](int unit, const ParameterSlice& slice, std::vector<A>& values) {
    if (round_to_bf16)
      for (A& value : values) value = static_cast<A>(rounded_to_bf16(static_cast<double>(value)));
    use(unit, slice, values);
  };
  switch (source.kind) {
    case WeightsSource::Kind::folder: {
      const ModelFolder folder(source.weights);
      return for_each_slice(
          params,
          [&](const ParameterSlice& slice, std::vector<A>& values) {
            folder.read(slice.view->name, slice.first, values.size(), values.data());
          },
          rounded);
    }
    case WeightsSource::Kind::checkpoint: {
      const CheckpointReader reader(source.weights);
      return for_each_slice(
          params,
          [&](const ParameterSlice& slice, std::vector<A>& values) {
            reader.read("parameters", *slice.view, slice.first, std::span<A>(values));
          },
          rounded);
    }
    case WeightsSource::Kind::initial:
      return for_each_slice(
          params,
          [&](const ParameterSlice& slice, std::vector<A>& values) {
            constexpr std::size_t kElements = 64;  // work of one random number, in elements
            const std::uint64_t stream = random_stream(slice.view->name);
            parallel_for(values.size(), kElements, [&](std::size_t i) {
              values[i] = slice.view->decays
                              ? static_cast<A>(source.config.initializer_range * random_normal(seed, stream, slice.first + i))
                              : A(1);
            });
          },
          rounded);
  }
}

}  // namespace

WeightsSource locate_model(const Runtime& runtime, const fs::path& path) {
  const auto from = [&](const fs::path& checkpoint) {
    if (runtime.comm.rank() == 0 && !is_bound(checkpoint))
      log_warning(
          fmt::format("{}: its manifest is of an earlier version and has only CRC-32C, which detects accidents but not changes",
                      checkpoint.string()));
    return from_checkpoint(checkpoint);
  };
  if (fs::exists(path / "checkpoint.h5")) {
    verify_checkpoint(runtime, path);
    return from(path);
  }
  if (fs::is_directory(path / "checkpoints")) {
    const auto checkpoint = newest_good_checkpoint(runtime, path / "checkpoints");
    if (!checkpoint) fail(ExitCode::bad_input, fmt::format("{}: this run has no good checkpoint yet", path.string()));
    return from(*checkpoint);
  }
  if (!fs::exists(path))
    fail(ExitCode::bad_input,
         fmt::format("{}: there is no such folder; expected a local folder: download a model of the Hub first", path.string()));
  if (!fs::is_directory(path))
    fail(ExitCode::bad_input,
         fmt::format("{}: it is not a folder; expected a model folder, a run folder or a checkpoint", path.string()));
  if (!fs::exists(path / "config.json"))
    fail(ExitCode::bad_input,
         fmt::format("{}: neither a model folder (no config.json) nor a run (no checkpoints/)", path.string()));
  WeightsSource source{WeightsSource::Kind::folder, path, path, read_llama_config(path / "config.json")};
  (void)open_model(source.config, path);
  return source;
}

fs::path side_files_folder(const fs::path& path) {
  // <run>/checkpoints/step-NNNNNN beside <run>/model
  if (fs::exists(path / "checkpoint.h5")) return fs::canonical(path).parent_path().parent_path() / "model";
  return fs::is_directory(path / "checkpoints") ? path / "model" : path;
}

WeightsSource initial_model(const fs::path& config_json) {
  return {WeightsSource::Kind::initial, config_json, config_json.parent_path(), read_llama_config(config_json)};
}

template <Element T>
void load_weights(const WeightsSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params) {
  read_weights(source, seed, round_to_bf16, params,
               [&](int unit, const ParameterSlice& slice, const std::vector<acc_t<T>>& values) {
                 params.load(unit, slice.offset, values);
               });
}

template <Element T>
WeightsMoved weights_moved(const WeightsSource& source, std::uint64_t seed, bool round_to_bf16, ShardedParams<T>& params) {
  using A = acc_t<T>;
  const Runtime& runtime = params.runtime();
  std::array<double, 5> sums{};  // weights, moved, moved in bfloat16, ||w - w'||^2, ||w'||^2
  std::vector<A> now;
  read_weights(source, seed, round_to_bf16, params, [&](int unit, const ParameterSlice& slice, const std::vector<A>& before) {
    now.resize(before.size());
    copy_to_host(runtime.compute, now.data(), params.master(unit).data() + slice.offset, now.size() * sizeof(A));
    runtime.compute.synchronize();
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto new_value = static_cast<double>(now[i]), old_value = static_cast<double>(before[i]);
      sums[0] += 1;
      sums[1] += new_value != old_value;
      sums[2] += rounded_to_bf16(new_value) != rounded_to_bf16(old_value);
      sums[3] += (new_value - old_value) * (new_value - old_value);
      sums[4] += old_value * old_value;
    }
  });
  all_reduce(runtime, sums, Reduce::sum);
  return {sums[1] / sums[0], sums[2] / sums[0], std::sqrt(sums[3] / sums[4])};
}

template WeightsMoved weights_moved(const WeightsSource&, std::uint64_t, bool, ShardedParams<float>&);
template WeightsMoved weights_moved(const WeightsSource&, std::uint64_t, bool, ShardedParams<bf16>&);
template WeightsMoved weights_moved(const WeightsSource&, std::uint64_t, bool, ShardedParams<double>&);
template void load_weights(const WeightsSource&, std::uint64_t, bool, ShardedParams<float>&);
template void load_weights(const WeightsSource&, std::uint64_t, bool, ShardedParams<bf16>&);
template void load_weights(const WeightsSource&, std::uint64_t, bool, ShardedParams<double>&);

}  // namespace expunge
