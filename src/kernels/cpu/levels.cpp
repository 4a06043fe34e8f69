// Chooses the instruction set; compiled for the baseline processor, unlike the kernels.
#include "kernels/cpu/levels.h"

#include <fmt/format.h>

#include <dnnl_debug.h>
#include <dnnl.hpp>

#include "core/processor.h"

namespace expunge::cpu {

#if defined(__x86_64__)

namespace avx2 {
extern const Level kLevel;
}
namespace avx512 {
extern const Level kLevel;
}

static const Level& processors_level() {
  // oneDNN reads ONEDNN_MAX_CPU_ISA. Its values are sets of bits; a lower one is a subset of a higher one.
  static const bool wide =
      has_avx512() && (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
  return wide ? avx512::kLevel : avx2::kLevel;
}

std::string name_kernels() {
  std::string_view products = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
  constexpr std::string_view kPrefix = "cpu_isa_";
  if (products.starts_with(kPrefix)) products.remove_prefix(kPrefix.size());
  return fmt::format("{}, oneDNN {}", level().name, products);
}

#else

namespace plain {
extern const Level kLevel;
}
static const Level& processors_level() { return plain::kLevel; }
std::string name_kernels() { return std::string(level().name); }

#endif

static const Level*& level_in_use() {
  static const Level* level = &processors_level();
  return level;
}
const Level& level() { return *level_in_use(); }
void use_level(const Level& level) { level_in_use() = &level; }

}  // namespace expunge::cpu
