// The layout of an FSDP unit: parameter names to places in one flat vector, and the slice of it that each rank owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace expunge {

/// One named parameter in a unit's flat vector.
struct ParameterView {
  std::string name;                 ///< as Hugging Face stores it
  std::vector<std::int64_t> shape;  ///< row-major
  bool decays;                      ///< weight decay applies: matrices yes, norms no
  std::size_t offset;               ///< first element in the flat vector
  std::size_t size;                 ///< elements
};

/// A part of a parameter: elements first .. first + count of it lie at `offset` of a flat vector.
struct ParameterSlice {
  const ParameterView* view;
  std::size_t first, count, offset;
};

/// Parameters that are gathered, reduced and freed together. Groups start at multiples of 64 elements (128 bytes in bf16);
/// the tail is padded so that every rank's shard is a multiple of that as well.
class UnitLayout {
 public:
  static constexpr std::size_t kAlignment = 64;

  struct Parameter {
    std::string name;
    std::vector<std::int64_t> shape;
  };

  UnitLayout(std::string name, int world_size) : name_(std::move(name)), world_size_(static_cast<std::size_t>(world_size)) {}

  /// Adds parameters that lie one behind the other without gaps, so that their rows can be used as one matrix.
  void add(std::vector<Parameter> group);

  const std::string& name() const { return name_; }
  const std::vector<ParameterView>& views() const { return views_; }
  /// Elements of the whole padded vector, and of one rank's shard.
  std::size_t size() const { return shard_size() * world_size_; }
  std::size_t shard_size() const;
  /// What of each parameter lies in rank's shard; offsets count from the shard's start.
  std::vector<ParameterSlice> slices(int rank) const;

 private:
  std::string name_;
  std::size_t world_size_;
  std::size_t used_ = 0;
  std::vector<ParameterView> views_;
};

}  // namespace expunge
