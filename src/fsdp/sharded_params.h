// Sharded parameters: every rank holds a slice of each unit; whole weights exist only while a lease lives.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "expunge/communicator.h"
#include "expunge/device.h"
#include "expunge/dtype.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "fsdp/unit_layout.h"

namespace expunge {

struct ShardingOptions {
  bool gather_once_per_step;  ///< keep all whole units, and whole gradients, for an optimizer step; else two slots
  bool prefetch;              ///< prefetch() works; else it is a no-op and every gather waits
  bool reduce_in_bf16;        ///< gradients travel as bfloat16 and are added in the accumulation type
};

template <Element T>
class ShardedParams;

/// Whole weights of one unit. They stay while the lease lives; its end frees the slot for another unit.
template <Element T>
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();
  /// The unit's flat vector (layout(unit).size()).
  const T* data() const { return data_; }
  const T* view(const ParameterView& view) const { return data_ + view.offset; }

 private:
  friend class ShardedParams<T>;
  ShardedParams<T>* owner_ = nullptr;
  int slot_ = -1;  // -1: the shard itself
  const T* data_ = nullptr;
};

/// Whole gradients of one unit, to be added to and handed to reduce().
template <Element T>
class GradientLease {
 public:
  acc_t<T>* data() { return data_; }
  acc_t<T>* view(const ParameterView& view) { return data_ + view.offset; }

 private:
  friend class ShardedParams<T>;
  acc_t<T>* data_ = nullptr;
  Buffer<acc_t<T>> own_;  // empty where the gradients live on in the parameters
};

/// Weights of all units as this rank's shards, with the collectives that make them whole: master weights and their gradients
/// if trainable, else weights in the compute type that stay as they are loaded. Every rank makes the same sequence of calls.
/// Two slots hold whole units when gathering per micro-step, one a unit otherwise; none where a single rank's shards are the
/// whole already, in the compute type.
template <Element T>
class ShardedParams {
 public:
  using A = acc_t<T>;
  /// All memory that lasts is allocated here.
  ShardedParams(const Runtime& runtime, std::vector<UnitLayout> units, ShardingOptions options, bool trainable);

  const Runtime& runtime() const { return runtime_; }
  int units() const { return static_cast<int>(units_.size()); }
  const UnitLayout& layout(int unit) const { return units_[static_cast<std::size_t>(unit)]; }

  /// Starts the all-gather of a unit; the host never waits. Without a free slot, or when it is there already: no-op.
  void prefetch(int unit);
  /// Whole weights; the compute stream waits for them. Throws Error(internal) when leases hold every slot.
  [[nodiscard]] Lease<T> gather(int unit);
  /// A place to add the unit's gradients to: zeros, or what earlier micro-batches of the step left.
  [[nodiscard]] GradientLease<T> gradients(int unit);
  /// Starts the reduce-scatter into this rank's gradient shard (+=). When gathering once per step, only the last
  /// micro-batch's call does so.
  void reduce(int unit, GradientLease<T>&& gradients);

  /// Before a step's first micro-batch: gradients become zero.
  void begin_step();
  /// Before a step's last micro-batch.
  void last_micro_batch() { reduce_now_ = true; }
  /// After a step's last micro-batch: waits until every gradient shard is complete.
  void finish_gradients();
  /// Master weights were changed: gathered copies are stale.
  void weights_changed();
  /// Sets elements `offset` ... of this rank's shard from host memory, rounded where shards are kept in the compute type.
  void load(int unit, std::size_t offset, std::span<const A> values);

  /// Of trainable parameters.
  std::span<A> master(int unit) { return shard(master_, unit); }
  std::span<A> gradient(int unit) { return shard(gradient_, unit); }
  /// All-gathers enqueued so far.
  std::size_t gathers() const { return gathers_; }

 private:
  friend class Lease<T>;
  struct Slot {
    Buffer<T> weights;
    int unit = -1;
    int leases = 0;
    bool prefetched = false;  // filled ahead, not used yet
    std::size_t used = 0;     // when it was last leased or filled, for eviction
    Event ready;              // in the communication stream: the gather
    Event released;           // in the compute stream: the last use
  };
  struct Pending {  // a reduce-scatter under way
    int unit;
    Event done;
    GradientLease<T> whole;
    Buffer<bf16> wire;
    Buffer<A> shard;  // empty where the sum goes straight to the gradient shard
  };

  /// This rank's shard of a unit in the compute type, where it is kept so.
  T* compute_shard(int unit) {
    if (!frozen_.empty()) return frozen_[static_cast<std::size_t>(unit)].data();
    if constexpr (std::is_same_v<T, A>) return master(unit).data();
    return nullptr;
  }
  std::span<A> shard(std::vector<Buffer<A>>& buffers, int unit) {
    check(!buffers.empty(), "frozen parameters have neither master weights nor gradients");
    auto& buffer = buffers[static_cast<std::size_t>(unit)];
    return {buffer.data(), buffer.size()};
  }
  /// This rank's shard is the whole, and in the compute type: nothing is copied.
  bool shard_is_whole() const { return runtime_.comm.whole_is_shard() && (std::is_same_v<T, A> || !frozen_.empty()); }
  Slot* find(int unit);
  Slot* free_slot(int unit, bool may_drop_prefetched);
  void fill(Slot& slot, int unit);
  void scatter_in_place(int unit);
  void release(int slot);
  void scatter(int unit, GradientLease<T>&& whole);
  void drain(std::size_t leave);

  Runtime runtime_;
  const Kernels<T>& kernels_;
  std::vector<UnitLayout> units_;
  ShardingOptions options_;
  std::vector<Buffer<A>> master_, gradient_, whole_gradient_;
  std::vector<Buffer<T>> frozen_;  // shards in place of master_, where not trainable
  std::vector<Slot> slots_;
  std::deque<Pending> pending_;
  bool reduce_now_ = false;
  std::size_t clock_ = 0, gathers_ = 0;
};

}  // namespace expunge
