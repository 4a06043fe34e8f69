// `expunge mia`: do a model's scores separate members from non-members?
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "inference/options.h"
#include "session/session.h"

namespace expunge {

/// Options of `expunge mia`.
struct MembershipConfig : ScoringConfig {
  std::string members = "forget", non_members = "approximate";  ///< splits of the domain, or "domain/split"
  std::filesystem::path reference_model;                        ///< empty: no reference attack
  std::uint64_t seed = 42;                                      ///< of the bootstrap
};

/// Scores both splits with every attack, prints a table and writes mia.h5.
void run_membership(Session& session, const MembershipConfig& config);

}  // namespace expunge
