// Sharded parameters: every rank holds a slice of each unit; whole weights exist only during a lease.
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
  bool gather_once_per_step;  ///< keep all whole units and whole gradients for an optimizer step; else use two slots
  bool prefetch;              ///< whether prefetch() works; else it is a no-op and every gather waits
  bool reduce_in_bf16;        ///< gradients are sent as bfloat16 and added in the accumulation type
};

template <Element T>
class ShardedParams;

/// Whole weights of one unit. They stay valid while the lease lives; its end frees the slot for another unit.
template <Element T>
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();
  /// The unit's flat vector (layout(unit).size() elements).
  const T* data() const { return data_; }
  const T* view(const ParameterView& view) const { return data_ + view.offset; }

 private:
  friend class ShardedParams<T>;
  ShardedParams<T>* owner_ = nullptr;
  int slot_ = -1;  // -1: no slot, the shard itself is the whole
  const T* data_ = nullptr;
};

/// Whole gradients of one unit; the caller adds to them and passes them to reduce().
template <Element T>
class GradientLease {
 public:
  acc_t<T>* data() { return data_; }
  acc_t<T>* view(const ParameterView& view) { return data_ + view.offset; }

 private:
  friend class ShardedParams<T>;
  acc_t<T>* data_ = nullptr;
  Buffer<acc_t<T>> own_;  // empty if the parameters own the gradients
};

/// This rank's shards of all units, and the collectives that gather them. Trainable: master weights and gradients; else:
/// fixed weights in the compute type. Every rank makes the same sequence of calls. Gathering per micro-step uses two slots
/// for whole units, otherwise each unit has a slot. A single rank whose shards are whole and in the compute type needs no
/// slots.
template <Element T>
class ShardedParams {
 public:
  using A = acc_t<T>;
  /// Allocates all permanent memory.
  ShardedParams(const Runtime& runtime, std::vector<UnitLayout> units, ShardingOptions options, bool trainable);

  const Runtime& runtime() const { return runtime_; }
  int units() const { return static_cast<int>(units_.size()); }
  const UnitLayout& layout(int unit) const { return units_[static_cast<std::size_t>(unit)]; }

  /// Starts the all-gather of a unit; the host never waits. No-op without a free slot, or if the unit is there already.
  void prefetch(int unit);
  /// Whole weights; the compute stream waits for them. Throws Error(internal) if leases hold every slot.
  [[nodiscard]] Lease<T> gather(int unit);
  /// Memory to add the unit's gradients to: zeros, or the sum of earlier micro-batches of the step.
  [[nodiscard]] GradientLease<T> gradients(int unit);
  /// Starts the reduce-scatter that adds to this rank's gradient shard. When gathering once per step, only the last
  /// micro-batch's call does so.
  void reduce(int unit, GradientLease<T>&& gradients);

  /// Zeroes the gradients; called before a step's first micro-batch.
  void begin_step();
  /// Called before a step's last micro-batch.
  void last_micro_batch() { reduce_now_ = true; }
  /// Makes the compute stream wait for every gradient shard; called after a step's last micro-batch.
  void finish_gradients();
  /// Invalidates gathered copies after a change of the master weights.
  void weights_changed();
  /// Sets the elements from `offset` on of this rank's shard from host memory; rounds if the shard has the compute type.
  void load(int unit, std::size_t offset, std::span<const A> values);

  /// Master weights and gradients, of trainable parameters only.
  std::span<A> master(int unit) { return shard(master_, unit); }
  std::span<A> gradient(int unit) { return shard(gradient_, unit); }
  /// Number of all-gathers enqueued so far.
  std::size_t gathers() const { return gathers_; }

 private:
  friend class Lease<T>;
  struct Slot {
    Buffer<T> weights;
    int unit = -1;
    int leases = 0;
    bool prefetched = false;  // filled ahead and not used yet
    std::size_t used = 0;     // clock of the last lease or fill, for eviction
    Event ready;              // the gather, in the communication stream
    Event released;           // the last use, in the compute stream
  };
  struct Pending {  // a running reduce-scatter
    int unit;
    Event done;
    GradientLease<T> whole;
    Buffer<bf16> wire;
    Buffer<A> shard;  // empty if the sum goes directly to the gradient shard
  };

  /// This rank's shard of a unit in the compute type; null if it is stored in another type.
  T* compute_shard(int unit) {
    if (!fixed_.empty()) return fixed_[static_cast<std::size_t>(unit)].data();
    if constexpr (std::is_same_v<T, A>) return master(unit).data();
    return nullptr;
  }
  std::span<A> shard(std::vector<Buffer<A>>& buffers, int unit) {
    check(!buffers.empty(), "fixed parameters have neither master weights nor gradients");
    auto& buffer = buffers[static_cast<std::size_t>(unit)];
    return {buffer.data(), buffer.size()};
  }
  /// Whether this rank's shard is the whole and has the compute type, so that nothing is copied.
  bool shard_is_whole() const { return runtime_.comm.whole_is_shard() && (std::is_same_v<T, A> || !fixed_.empty()); }
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
  std::vector<Buffer<T>> fixed_;  // shards of fixed parameters, instead of master_
  std::vector<Slot> slots_;
  std::deque<Pending> pending_;
  bool reduce_now_ = false;
  std::size_t clock_ = 0, gathers_ = 0;
};

}  // namespace expunge
