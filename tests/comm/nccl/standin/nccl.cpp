// The stand-in for NCCL.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "expunge/dtype.h"
#include "expunge/error.h"

namespace {

using expunge::bf16;
using standin::Call;

struct Transfer {  // of a group: to or from a peer
  const void* from = nullptr;
  void* to = nullptr;
};

/// What one rank brings to its n-th call.
struct Post {
  Call call;
  const void* from = nullptr;
  std::vector<Transfer> peers;
};

/// Where ranks meet for their n-th call.
struct Meeting {
  std::vector<const Post*> posts;
  std::atomic<int> arrived = 0, left = 0;
  explicit Meeting(int ranks) : posts(static_cast<std::size_t>(ranks)) {}
};

struct World {
  explicit World(int n) : ranks(n) {}
  int ranks;
  std::mutex mutex;
  std::map<std::size_t, std::shared_ptr<Meeting>> meetings;

  std::shared_ptr<Meeting> meeting(std::size_t number) {
    const std::lock_guard lock(mutex);
    auto& entry = meetings[number];
    if (!entry) entry = std::make_shared<Meeting>(ranks);
    return entry;
  }
};

std::shared_ptr<World> world_of(const ncclUniqueId& id, int ranks) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<World>> worlds;
  const std::lock_guard lock(mutex);
  auto& entry = worlds[id.internal];
  if (!entry) entry = std::make_shared<World>(ranks);
  return entry;
}

std::size_t element_bytes(ncclDataType_t type) {
  return type == ncclUint8 ? 1 : type == ncclBfloat16 ? 2 : type == ncclFloat32 ? 4 : 8;
}

template <typename T>
void add_part(void* sum, const std::vector<const Post*>& posts, std::size_t rank, std::size_t bytes) {
  const std::size_t n = bytes / sizeof(T);
  std::vector<T> total(n);
  for (const Post* post : posts)
    for (std::size_t i = 0; i < n; ++i) total[i] += static_cast<const T*>(post->from)[rank * n + i];
  std::memcpy(sum, total.data(), bytes);
}

}  // namespace

struct StandinComm {
  std::shared_ptr<World> world;
  int rank;
  std::size_t calls = 0;
  std::atomic<bool> aborted = false;
  std::atomic<int> in_progress = 0;  // questions that are still answered so
  std::atomic<ncclResult_t> error = ncclSuccess;
  std::vector<Call> record = {};
  std::vector<Transfer> group = {};
  std::size_t group_bytes = 0;
  cudaStream_t group_stream = nullptr;

  /// Enqueues a call: the stream waits for all ranks, `work` reads what they posted, and none leaves before all have read.
  ncclResult_t enqueue(Post post, cudaStream_t stream, std::function<void(const std::vector<const Post*>&)> work) {
    if (in_progress > 0) return ncclInvalidUsage;  // the call before was not waited for
    record.push_back(post.call);
    in_progress = 2;
    auto shared = std::make_shared<Post>(std::move(post));
    stream->enqueue([this, shared, work = std::move(work), number = calls++] {
      const auto meeting = world->meeting(number);
      meeting->posts[static_cast<std::size_t>(rank)] = shared.get();
      if (!wait(meeting->arrived)) return;
      for (const Post* other : meeting->posts)
        if (!(other->call == shared->call)) {
          error = ncclInvalidArgument;  // ranks called different things: NCCL would hang or corrupt memory
          break;
        }
      if (error == ncclSuccess) work(meeting->posts);
      (void)wait(meeting->left);
    });
    return ncclInProgress;
  }

  bool wait(std::atomic<int>& count) {
    ++count;
    while (count < world->ranks) {
      if (aborted) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }
};

namespace standin {
namespace {
thread_local ncclComm_t current = nullptr;  // of the thread that made it
thread_local bool grouping = false;
}  // namespace

ncclResult_t get_unique_id(ncclUniqueId* id) {
  static std::atomic<int> made = 0;
  *id = {};
  std::snprintf(id->internal, sizeof(id->internal), "world %d", ++made);
  return ncclSuccess;
}

ncclResult_t init_rank(ncclComm_t* comm, int ranks, const ncclUniqueId& id, int rank, const ncclConfig_t& config) {
  if (config.blocking != 0) return ncclInvalidArgument;
  *comm = current = new StandinComm{.world = world_of(id, ranks), .rank = rank};  // kept, as tests look at it at the end
  current->in_progress = 3;
  return ncclInProgress;
}

ncclResult_t async_error(ncclComm_t comm, ncclResult_t* state) {
  if (comm->error != ncclSuccess) {
    *state = comm->error;
  } else {
    const bool busy = comm->in_progress > 0;
    if (busy) --comm->in_progress;
    *state = busy && comm->in_progress > 0 ? ncclInProgress : ncclSuccess;
  }
  return ncclSuccess;
}

ncclResult_t all_gather(const void* shard, void* whole, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                        cudaStream_t stream) {
  const std::size_t bytes = count * element_bytes(type);
  char* const place = static_cast<char*>(whole) + static_cast<std::size_t>(comm->rank) * bytes;
  return comm->enqueue({{"all-gather", bytes, shard == place}, shard, {}}, stream, [=](const std::vector<const Post*>& posts) {
    for (std::size_t r = 0; r < posts.size(); ++r) {
      char* const to = static_cast<char*>(whole) + r * bytes;
      if (to != posts[r]->from) std::memcpy(to, posts[r]->from, bytes);
    }
  });
}

ncclResult_t reduce_scatter(const void* whole, void* shard, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                            cudaStream_t stream) {
  const std::size_t bytes = count * element_bytes(type), rank = static_cast<std::size_t>(comm->rank);
  const bool in_place = shard == static_cast<const char*>(whole) + rank * bytes;
  return comm->enqueue({{"reduce-scatter", bytes, in_place}, whole, {}}, stream, [=](const std::vector<const Post*>& posts) {
    if (type == ncclFloat32)
      add_part<float>(shard, posts, rank, bytes);
    else
      add_part<double>(shard, posts, rank, bytes);
  });
}

ncclResult_t group_start() {
  grouping = true;
  return ncclSuccess;
}

ncclResult_t send(const void* from, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  if (!grouping) return ncclInvalidUsage;
  comm->group.resize(static_cast<std::size_t>(comm->world->ranks));
  comm->group[static_cast<std::size_t>(peer)].from = from;
  comm->group_bytes = count * element_bytes(type);
  comm->group_stream = stream;
  return ncclSuccess;
}

ncclResult_t receive(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t) {
  if (!grouping || comm->group_bytes != count * element_bytes(type)) return ncclInvalidUsage;
  comm->group[static_cast<std::size_t>(peer)].to = to;
  return ncclSuccess;
}

ncclResult_t group_end() {
  grouping = false;
  const ncclComm_t comm = current;
  const std::size_t bytes = comm->group_bytes, rank = static_cast<std::size_t>(comm->rank);
  std::vector<Transfer> mine = std::move(comm->group);
  comm->group.clear();
  return comm->enqueue({{"exchange", bytes, false}, nullptr, mine}, comm->group_stream,
                       [mine, bytes, rank](const std::vector<const Post*>& posts) {
                         for (std::size_t peer = 0; peer < posts.size(); ++peer)
                           std::memcpy(mine[peer].to, posts[peer]->peers[rank].from, bytes);
                       });
}

ncclResult_t end(ncclComm_t comm, bool abort) {
  if (abort) comm->aborted = true;
  return ncclSuccess;
}

std::vector<Call> recorded() { return current->record; }
void fail_with(ncclResult_t error) { current->error = error; }
bool was_aborted() { return current->aborted; }

}  // namespace standin
