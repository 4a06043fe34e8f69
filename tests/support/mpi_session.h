// For tests under mpirun: the session of this process.
#pragma once

#include "session/session.h"

namespace expunge {

Session& test_session();
inline const Runtime& test_runtime() { return test_session().runtime(); }

}  // namespace expunge
