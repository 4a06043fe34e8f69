// Layout of an FSDP unit: positions of parameters in one flat vector, and each rank's slice of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace expunge {

/// One named parameter in a unit's flat vector.
struct ParameterView {
  std::string name;                 ///< name in Hugging Face files
  std::vector<std::int64_t> shape;  ///< row-major
  bool decays;                      ///< weight decay applies: matrices yes, norms no
  std::size_t offset;               ///< first element in the flat vector
  std::size_t size;                 ///< elements
};

/// A part of a parameter: its elements first .. first + count, stored from `offset` on in a flat vector.
struct ParameterSlice {
  const ParameterView* view;
  std::size_t first, count, offset;
};

/// Parameters that are gathered, reduced and freed together. Groups start at multiples of 64 elements (128 bytes in bf16).
/// Padding at the end makes every rank's shard a multiple of 64 elements too.
class UnitLayout {
 public:
  static constexpr std::size_t kAlignment = 64;

  struct Parameter {
    std::string name;
    std::vector<std::int64_t> shape;
  };

  UnitLayout(std::string name, int world_size) : name_(std::move(name)), world_size_(static_cast<std::size_t>(world_size)) {}

  /// Adds parameters without gaps between them, so that their rows form one matrix.
  void add(std::vector<Parameter> group);

  const std::string& name() const { return name_; }
  const std::vector<ParameterView>& views() const { return views_; }
  /// Elements of the whole padded vector, and of one rank's shard.
  std::size_t size() const { return shard_size() * world_size_; }
  std::size_t shard_size() const;
  /// The parts of parameters in a rank's shard; offsets count from the shard's start.
  std::vector<ParameterSlice> slices(int rank) const;

 private:
  std::string name_;
  std::size_t world_size_;
  std::size_t used_ = 0;
  std::vector<ParameterView> views_;
};

}  // namespace expunge
