// `expunge mia`: can members be told from non-members by what the model says of them?
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
  std::filesystem::path reference_model;                        ///< empty: no attack by reference
  std::uint64_t seed = 42;                                      ///< of the bootstrap
};

/// Scores both splits by every attack, prints a table and writes mia.h5.
void run_membership(Session& session, const MembershipConfig& config);

}  // namespace expunge
