// Queries the processor; compiled for baseline x86-64, because it runs before the check.
#include "core/processor.h"

#include "core/process.h"
#include "expunge/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <fmt/format.h>

#include <vector>
#endif

namespace expunge {

#if defined(__x86_64__)

void check_processor() {
  std::vector<const char*> missing;
  const auto need = [&](bool has, const char* name) {
    if (!has) missing.push_back(name);
  };
  // __builtin_cpu_supports also checks that the system saves the wide registers. It does not know the last three names.
  need(__builtin_cpu_supports("avx"), "AVX");
  need(__builtin_cpu_supports("avx2"), "AVX2");
  need(__builtin_cpu_supports("bmi"), "BMI1");
  need(__builtin_cpu_supports("bmi2"), "BMI2");
  need(__builtin_cpu_supports("fma"), "FMA");
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool known = __get_cpuid(1, &a, &b, &c, &d) != 0;
  need(known && (c & bit_F16C), "F16C");
  need(known && (c & bit_MOVBE), "MOVBE");
  need(__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT), "LZCNT");
  if (missing.empty()) return;
  fail(ExitCode::usage, fmt::format("the processor of {} lacks {}: expunge needs x86-64-v3 (Intel since Haswell, AMD since "
                                    "Excavator); run it on a newer machine",
                                    host_name(), fmt::join(missing, ", ")));
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#else

void check_processor() {}
bool has_avx512() { return false; }

#endif

}  // namespace expunge
