// Starts a job: MPI, threads, streams, communicator.
#include "session/session.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/text.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "session/device_choice.h"

namespace expunge {
namespace {

/// srun without PMIx starts every task as a separate job, and all would write one run folder.
void refuse_lone_ranks(int world_size) {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  if (tasks && std::atoi(tasks) > 1 && world_size == 1)
    fail(ExitCode::usage, fmt::format("Slurm started {} tasks but MPI sees one rank; start with srun --mpi=pmix", tasks));
}

/// Whether ranks compute on GPUs: as requested, or for "auto" if every rank sees a GPU.
bool on_gpus(const std::string& asked, Communicator& host, Stream& stream) {
  if (asked != "auto") return asked == "cuda";
  double gpus = cuda_devices().count;
  host.all_reduce(stream, {&gpus, 1}, Reduce::min);
  return gpus > 0;
}

/// Warns if a driver is installed, because the user then expects the GPU to be used.
void warn_of_unused_gpus() {
  if (!std::filesystem::exists("/proc/driver/nvidia/version")) return;
  const CudaDevices devices = cuda_devices();
  log_warning(fmt::format("computing on the CPU though this machine has NVIDIA's driver: {}",
                          devices.count > 0 ? "not every rank sees a GPU" : devices.problem));
}

/// Gathers the GPUs of all ranks, in rank order, on every rank.
std::vector<FoundGpu> exchange(const FoundGpu& mine, Communicator& host, Stream& stream) {
  const Runtime on_host{{}, stream, stream, host};
  std::vector<FoundGpu> found;
  for (int rank = 0; rank < host.size(); ++rank)
    found.push_back({broadcast(on_host, mine.uuid, rank), broadcast(on_host, mine.problem, rank)});
  return found;
}

/// The distinct names of all ranks. Collective.
std::vector<std::string> names_of_all(const Runtime& runtime, const std::string& mine) {
  std::vector<std::string> names;
  for (bool named = false;; named = std::ranges::count(names, mine) > 0) {
    const std::string next = first_text(runtime, named ? std::string() : mine);
    if (next.empty()) return names;
    names.push_back(next);
  }
}

}  // namespace

Session::Engine Session::make_engine(const MpiEnvironment& mpi, const ComputeConfig& compute) {
  auto host = make_mpi_communicator(compute.collective_timeout);
  const auto stream = make_inline_stream();
  const bool on_gpu = on_gpus(compute.device, *host, *stream);
  if (!on_gpu && compute.comm != CommPolicy::automatic)
    fail(ExitCode::usage,
         "--comm is for ranks on GPUs, but --device auto found no GPU on some rank; remove it, or use "
         "--device cuda to see the reason");
  if (!on_gpu) return {{}, make_inline_stream(), make_thread_stream(), std::move(host)};
  int index = 0;
  const FoundGpu mine = find_gpu(mpi.local_rank(), compute.comm == CommPolicy::staged, &index);
  const std::vector<FoundGpu> all = exchange(mine, *host, *stream);
  const CommPolicy comm = choose_comm(compute.comm, all, has_nccl());
  const auto sharers = std::ranges::count(all, mine.uuid, &FoundGpu::uuid);
  Engine engine{{DeviceType::cuda, index},
                make_cuda_stream(index),
                make_cuda_stream(index, Urgency::high),
                comm == CommPolicy::nccl
                    ? make_nccl_communicator(std::move(host), index, {compute.collective_timeout, {}, sum_parts})
                    : make_staged_communicator(std::move(host)),
                static_cast<int>(sharers),
                std::string(comm_policy_name(comm))};
  if (comm == CommPolicy::nccl) connect(engine);
  return engine;
}

/// Connects NCCL, which otherwise happens at the first collective of a kind. The GPU memory that this takes is then no longer
/// counted as free.
void Session::connect(Engine& engine) {
  constexpr std::size_t kShard = Communicator::kShardAlignment / sizeof(float);
  Buffer<float> whole(engine.device, kShard * static_cast<std::size_t>(engine.comm->size())), shard(engine.device, kShard);
  zero_bytes(*engine.communication, shard.data(), shard.bytes());
  engine.comm->all_gather(*engine.communication, whole.data(), shard.data(), shard.bytes());
  engine.comm->reduce_scatter(*engine.communication, shard.data(), whole.data(), kShard);
  engine.communication->synchronize();
}

Session::Session(const ComputeConfig& compute, bool quiet)
    : mpi_(compute.collective_timeout),
      threads_(threads_per_rank(mpi_)),
      engine_(make_engine(mpi_, compute)),
      runtime_{engine_.device, *engine_.compute, *engine_.communication, *engine_.comm} {
  refuse_lone_ranks(mpi_.size());
  omp_set_num_threads(threads_);
  log_setup(mpi_.rank(), mpi_.size(), quiet);
  if (compute.device == "auto" && engine_.device.type == DeviceType::cpu) warn_of_unused_gpus();
  if (compute.comm == CommPolicy::automatic && engine_.comm_name == "staged" && mpi_.size() > 1)
    log_warning("this build has no NCCL: ranks communicate over MPI through host memory, which is slow");
  if (compute.tf32) use_tf32();
  const bool on_gpu = engine_.device.type == DeviceType::cuda;
  const std::vector<std::string> kernels = names_of_all(runtime_, on_gpu ? "CUDA, " + device_text() : cpu_kernels());
  kernels_ = fmt::format("{}", fmt::join(kernels, "; "));
  if (kernels.size() > 1 && mpi_.rank() == 0)
    log_warning(fmt::format("ranks use different kernels ({}): rounding depends on the host of a rank", kernels_));
}

std::string Session::device_text() const {
  if (engine_.device.type == DeviceType::cuda) return cuda_device_info(engine_.device.index).name;
  return counted(threads_, "thread");
}

DType Session::default_dtype() const {
  return all_reduce(runtime_, has_bf16_products(engine_.device.type), Reduce::min) > 0 ? DType::bfloat16 : DType::float32;
}

DType Session::evaluation_dtype() const { return engine_.device.type == DeviceType::cpu ? DType::float32 : default_dtype(); }

void Session::abort(ExitCode code) { MpiEnvironment::abort(static_cast<int>(code)); }

std::size_t Session::available_memory() const {
  if (engine_.device.type == DeviceType::cuda)
    return cuda_device_info(engine_.device.index).free / static_cast<std::size_t>(engine_.sharers);
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::size_t kib = 0;
  while (file >> key >> kib >> unit)
    if (key == "MemAvailable:") return kib * 1024 / 5 * 4 / static_cast<std::size_t>(mpi_.local_size());
  return 0;
}

}  // namespace expunge
