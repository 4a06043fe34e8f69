// The SHA-256 of a model's files, computed by all ranks although each reads only its own slices.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "expunge/error.h"
#include "io/hash.h"
#include "io/model_folder.h"
#include "store/checkpoint.h"
#include "store/weights.h"

namespace expunge {
namespace {

/// Finds the rank that owns an element of a parameter, by name.
class Owners {
 public:
  Owners(const std::vector<UnitLayout>& units) {
    for (const UnitLayout& unit : units)
      for (const ParameterView& view : unit.views()) positions_[view.name] = {&unit, &view};
  }
  bool knows(const std::string& name) const { return positions_.contains(name); }
  int owner(const std::string& name, std::size_t element) const {
    const Position& position = positions_.at(name);
    return static_cast<int>((position.view->offset + element) / position.unit->shard_size());
  }
  /// The first element after `element` that another rank owns, or the parameter's end.
  std::size_t owned_until(const std::string& name, std::size_t element) const {
    const Position& position = positions_.at(name);
    const std::size_t shard = position.unit->shard_size();
    const std::size_t next = ((position.view->offset + element) / shard + 1) * shard - position.view->offset;
    return std::min(next, position.view->size);
  }

 private:
  struct Position {
    const UnitLayout* unit;
    const ParameterView* view;
  };
  std::unordered_map<std::string, Position> positions_;
};

/// A hash that moves from rank to rank: SHA-256 is sequential, but its state is small.
class TravellingHash {
 public:
  explicit TravellingHash(const Runtime& runtime) : runtime_(runtime) {}

  /// Lets `rank` hash the next bytes of the file.
  void update(const SafetensorsFile& file, std::uint64_t begin, std::uint64_t end, int rank) {
    move_to(rank);
    if (runtime_.comm.rank() == rank) file.visit(begin, end, [this](std::string_view bytes) { hash_.update(bytes); });
  }
  /// The digest, on every rank.
  std::string hex() { return broadcast(runtime_, hash_.hex(), holder_); }

 private:
  void move_to(int rank) {
    if (rank == holder_) return;
    Sha256::State state = hash_.state();
    runtime_.comm.broadcast(runtime_.communication, state.data(), state.size(), holder_);
    runtime_.communication.synchronize();
    hash_ = Sha256(state);
    holder_ = rank;
  }

  const Runtime& runtime_;
  Sha256 hash_;
  int holder_ = 0;
};

std::string file_sha256(const SafetensorsFile& file, const Owners& owners, const Runtime& runtime) {
  TravellingHash hash(runtime);
  for (const SafetensorsFile::Segment& segment : file.segments()) {
    // Rank 0 reads the parts without an owner: the header, and tensors that the model does not use.
    if (!owners.knows(segment.tensor)) {
      hash.update(file, segment.begin, segment.end, 0);
      continue;
    }
    const std::uint64_t elements = file.info(segment.tensor).elements();
    const std::uint64_t element_bytes = (segment.end - segment.begin) / elements;
    for (std::uint64_t first = 0; first < elements;) {
      const std::uint64_t end = owners.owned_until(segment.tensor, first);
      hash.update(file, segment.begin + element_bytes * first, segment.begin + element_bytes * end,
                  owners.owner(segment.tensor, first));
      first = end;
    }
  }
  return hash.hex();
}

}  // namespace

std::string model_sha256(const WeightsSource& source, const Runtime& runtime, const std::vector<UnitLayout>& units) {
  switch (source.kind) {
    case WeightsSource::Kind::initial:
      return on_root(runtime, [&] { return sha256_file(source.weights); });
    case WeightsSource::Kind::checkpoint:
      return on_root(runtime, [&] { return sha256_file(source.weights / kManifest); });
    case WeightsSource::Kind::folder:
      break;
  }
  const ModelFolder folder(source.weights);
  const Owners owners(units);
  if (folder.files().size() == 1) return file_sha256(folder.files()[0], owners, runtime);
  Sha256 lines;
  for (const SafetensorsFile& file : folder.files())
    lines.update(fmt::format("{}  {}\n", file_sha256(file, owners, runtime), file.path().filename().string()));
  return lines.hex();
}

}  // namespace expunge
