// What a kernel call costs at least: arithmetic of products, memory traffic, exponentials.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace expunge::bench {

/// Highest rates measured on this machine, both cores or more at once.
struct Machine {
  double fma_flops = 0;                         ///< per second: multiply-adds in registers, fp32
  std::map<std::string, double> product_flops;  ///< the best matrix product, by dtype
  double bytes = 0;                             ///< per second, read and written
  double exponentials = 0;                      ///< per second, of numbers in cache
  /// A product of one type may be made by way of another.
  double best_product(const std::string& dtype) const {
    return dtype == "float32" ? product_flops.at(dtype) : std::max(product_flops.at(dtype), product_flops.at("float32"));
  }
};

struct Cost {
  double flops = 0;         ///< of matrix products, attention's included (causal count)
  double bytes = 0;         ///< that have to be read and written by a kernel without products
  double exponentials = 0;  ///< as many as a softmax or a sigmoid cannot do without
  double seconds = 0;       ///< measured
  Cost& operator+=(const Cost& other) {
    flops += other.flops;
    bytes += other.bytes;
    exponentials += other.exponentials;
    seconds += other.seconds;
    return *this;
  }
  /// The time of a perfect kernel: memory traffic hides exponentials or the other way round, products come on top.
  double roofline(const Machine& m, const std::string& dtype) const {
    return flops / m.best_product(dtype) + std::max(bytes / m.bytes, exponentials / m.exponentials);
  }
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Cost, flops, bytes, exponentials, seconds)

using CostByKernel = std::map<std::string, Cost>;

}  // namespace expunge::bench
