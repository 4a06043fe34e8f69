// Fuzzes manifest.json of a checkpoint: no manifest leads out of the folder, and damage is an error.
#include "store/checkpoint.h"
#include "support/lone_rank.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  static const expunge::LoneRank rank;
  folder().write("step-000001/shard.h5", "123456789");  // CRC-32C e3069283
  folder().write("step-000001/manifest.json", text(data, size));
  accepts("step-000001", [] { expunge::verify_checkpoint(rank.runtime(), folder() / "step-000001"); });
  return 0;
}
