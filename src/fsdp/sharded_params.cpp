// Instantiates sharded parameters for the program's element types.
#include "fsdp/sharded_params_impl.h"

namespace expunge {
template class Lease<float>;
template class Lease<bf16>;
template class Lease<double>;
template class ShardedParams<float>;
template class ShardedParams<bf16>;
template class ShardedParams<double>;
}  // namespace expunge
