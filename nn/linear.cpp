#include "nn/linear.h"

namespace likely {

Linear::Linear(std::int64_t in, std::int64_t out, const LayerActivation& activation,
               const Initialiser& weight_from)
    : after_(activation),
      weight(add("weight", Parameter({out, in}, weight_from))),
      bias(add("bias", Parameter({out}, zeros()))) {}

}  // namespace likely
