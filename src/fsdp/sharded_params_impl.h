// Slots, leases and gradient reduction of sharded parameters. Included where an element type is instantiated.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "expunge/error.h"
#include "fsdp/sharded_params.h"

namespace expunge {

template <Element T>
Lease<T>::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), slot_(other.slot_), data_(std::exchange(other.data_, nullptr)) {}

template <Element T>
Lease<T>& Lease<T>::operator=(Lease&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(slot_, other.slot_);
  std::swap(data_, other.data_);
  return *this;
}

template <Element T>
Lease<T>::~Lease() {
  if (owner_ && slot_ >= 0) owner_->release(slot_);
}

template <Element T>
ShardedParams<T>::ShardedParams(const Runtime& runtime, std::vector<UnitLayout> units, ShardingOptions options, bool trainable)
    : runtime_(runtime), kernels_(kernels<T>(runtime.device)), units_(std::move(units)), options_(options) {
  std::size_t largest = 0;
  for (const UnitLayout& unit : units_) {
    largest = std::max(largest, unit.size());
    if (!trainable) {
      fixed_.emplace_back(runtime_.device, unit.shard_size());
      zero_bytes(runtime_.compute, fixed_.back().data(), fixed_.back().bytes());
      continue;
    }
    master_.emplace_back(runtime_.device, unit.shard_size());
    zero_bytes(runtime_.compute, master_.back().data(), master_.back().bytes());
    gradient_.emplace_back(runtime_.device, unit.shard_size());
    if (options_.gather_once_per_step && !runtime_.comm.whole_is_shard())
      whole_gradient_.emplace_back(runtime_.device, unit.size());
  }
  if (shard_is_whole()) return;
  const std::size_t slots = options_.gather_once_per_step ? units_.size() : 2;
  slots_.resize(slots);
  for (std::size_t s = 0; s < slots; ++s)
    slots_[s].weights = Buffer<T>(runtime_.device, options_.gather_once_per_step ? units_[s].size() : largest);
}

template <Element T>
typename ShardedParams<T>::Slot* ShardedParams<T>::find(int unit) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.unit == unit; });
  return slot == slots_.end() ? nullptr : &*slot;
}

/// A slot for a unit without one: its own slot, or of two slots the least recently used without a lease. A prefetched, unused
/// slot is taken only if `may_drop_prefetched`. Null if no slot is free.
template <Element T>
typename ShardedParams<T>::Slot* ShardedParams<T>::free_slot(int unit, bool may_drop_prefetched) {
  if (options_.gather_once_per_step) return &slots_[static_cast<std::size_t>(unit)];
  Slot* oldest = nullptr;
  for (Slot& slot : slots_)
    if (slot.leases == 0 && (may_drop_prefetched || !slot.prefetched) && (!oldest || slot.used < oldest->used)) oldest = &slot;
  return oldest;
}

template <Element T>
void ShardedParams<T>::fill(Slot& slot, int unit) {
  const std::size_t n = layout(unit).shard_size();
  T* const place = slot.weights.data() + static_cast<std::size_t>(runtime_.comm.rank()) * n;
  const void* source = compute_shard(unit);
  if (!source) {
    runtime_.compute.wait(slot.ready);  // wait for an unused prefetch
    kernels_.cast(runtime_.compute, place, master(unit).data(), n);
    source = place;
  }
  runtime_.communication.wait(slot.released);
  runtime_.communication.wait(runtime_.compute.record());
  runtime_.comm.all_gather(runtime_.communication, slot.weights.data(), source, n * sizeof(T));
  slot.ready = runtime_.communication.record();
  slot.unit = unit;
  slot.prefetched = false;
  slot.used = ++clock_;
  ++gathers_;
}

template <Element T>
void ShardedParams<T>::prefetch(int unit) {
  if (shard_is_whole() || !options_.prefetch || find(unit)) return;
  if (Slot* const slot = free_slot(unit, false)) {
    fill(*slot, unit);
    slot->prefetched = true;
  }
}

template <Element T>
Lease<T> ShardedParams<T>::gather(int unit) {
  Lease<T> lease;
  lease.owner_ = this;
  if (shard_is_whole()) {
    T* const whole = compute_shard(unit);
    lease.data_ = whole;
    if (runtime_.comm.calls_when_alone()) {
      runtime_.communication.wait(runtime_.compute.record());  // the weights may be new
      runtime_.comm.all_gather(runtime_.communication, whole, whole, layout(unit).size() * sizeof(T));
      runtime_.compute.wait(runtime_.communication.record());
      ++gathers_;
    }
    return lease;
  }
  Slot* slot = find(unit);
  if (!slot) {
    slot = free_slot(unit, true);
    check(slot != nullptr, "a unit is gathered while leases hold every slot");
    fill(*slot, unit);
  }
  runtime_.compute.wait(slot->ready);
  slot->ready = {};
  slot->prefetched = false;
  slot->used = ++clock_;
  ++slot->leases;
  lease.slot_ = static_cast<int>(slot - slots_.data());
  lease.data_ = slot->weights.data();
  return lease;
}

template <Element T>
void ShardedParams<T>::release(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  if (--slot.leases == 0) slot.released = runtime_.compute.record();
}

template <Element T>
GradientLease<T> ShardedParams<T>::gradients(int unit) {
  GradientLease<T> lease;
  if (runtime_.comm.whole_is_shard()) {
    lease.data_ = gradient(unit).data();
  } else if (options_.gather_once_per_step) {
    lease.data_ = shard(whole_gradient_, unit).data();
  } else {
    // Limits the running reductions to two units, which bounds their memory.
    drain(1);
    lease.own_ = Buffer<A>(runtime_.device, layout(unit).size());
    lease.data_ = lease.own_.data();
    zero_bytes(runtime_.compute, lease.data_, lease.own_.bytes());
  }
  return lease;
}

template <Element T>
void ShardedParams<T>::reduce(int unit, GradientLease<T>&& whole) {
  if (options_.gather_once_per_step && !reduce_now_) return;
  if (!runtime_.comm.whole_is_shard())
    scatter(unit, std::move(whole));
  else if (runtime_.comm.calls_when_alone())
    scatter_in_place(unit);
}

/// Reduces in place, because a single rank's whole gradients are its shard.
template <Element T>
void ShardedParams<T>::scatter_in_place(int unit) {
  if constexpr (std::is_floating_point_v<A>) {
    A* const shard = gradient(unit).data();
    runtime_.communication.wait(runtime_.compute.record());
    runtime_.comm.reduce_scatter(runtime_.communication, shard, shard, layout(unit).size());
    runtime_.compute.wait(runtime_.communication.record());
  }
}

template <Element T>
void ShardedParams<T>::scatter(int unit, GradientLease<T>&& whole) {
  const std::size_t n = layout(unit).shard_size();
  // Bounds the memory of running reductions.
  drain(1);
  // Gathering once per step gives one sum per unit, whose memory begin_step() cleared.
  Pending pending{unit, {}, std::move(whole), {}, Buffer<A>(runtime_.device, options_.gather_once_per_step ? 0 : n)};
  A* const sum = pending.shard ? pending.shard.data() : gradient(unit).data();
  if constexpr (std::is_same_v<A, float>) {
    if (options_.reduce_in_bf16) {
      pending.wire = Buffer<bf16>(runtime_.device, layout(unit).size());
      kernels<bf16>(runtime_.device).cast(runtime_.compute, pending.wire.data(), pending.whole.data(), layout(unit).size());
    }
  }
  runtime_.communication.wait(runtime_.compute.record());
  if constexpr (std::is_same_v<A, float>) {
    if (pending.wire)
      runtime_.comm.reduce_scatter(runtime_.communication, sum, pending.wire.data(), n);
    else
      runtime_.comm.reduce_scatter(runtime_.communication, sum, pending.whole.data(), n);
  } else if constexpr (std::is_same_v<A, double>) {
    runtime_.comm.reduce_scatter(runtime_.communication, sum, pending.whole.data(), n);
  } else {
    check(false, "complex gradients are never reduced");
  }
  pending.done = runtime_.communication.record();
  pending_.push_back(std::move(pending));
}

/// Adds finished reductions to the gradient shards, oldest first, until `leave` are still running.
template <Element T>
void ShardedParams<T>::drain(std::size_t leave) {
  while (pending_.size() > leave) {
    Pending& oldest = pending_.front();
    runtime_.compute.wait(oldest.done);
    if (oldest.shard)
      kernels_.accumulate(runtime_.compute, gradient(oldest.unit).data(), oldest.shard.data(), oldest.shard.size());
    pending_.pop_front();
  }
}

template <Element T>
void ShardedParams<T>::begin_step() {
  reduce_now_ = false;
  for (auto* buffers : {&gradient_, &whole_gradient_})
    for (Buffer<A>& buffer : *buffers) zero_bytes(runtime_.compute, buffer.data(), buffer.bytes());
}

template <Element T>
void ShardedParams<T>::finish_gradients() {
  drain(0);
}

template <Element T>
void ShardedParams<T>::weights_changed() {
  for (Slot& slot : slots_) {
    check(slot.leases == 0, "weights change while a lease lives");
    runtime_.compute.wait(slot.ready);  // an unused prefetch still reads the old weights
    slot.unit = -1;
    slot.ready = {};
  }
}

template <Element T>
void ShardedParams<T>::load(int unit, std::size_t offset, std::span<const A> values) {
  const auto put = [&](auto* shard, const auto* from) {
    copy_to_device(runtime_.compute, shard + offset, from, values.size() * sizeof(*from));
  };
  if (fixed_.empty()) {
    put(master(unit).data(), values.data());
  } else if constexpr (std::is_same_v<T, A>) {
    put(compute_shard(unit), values.data());
  } else {
    const std::vector<T> rounded(values.begin(), values.end());
    put(compute_shard(unit), rounded.data());
  }
}

}  // namespace expunge
