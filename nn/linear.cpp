#include "nn/linear.h"

namespace likely {

Linear::Linear(std::int64_t in, std::int64_t out, Activation activation,
               const Initialiser& weight_from)
    : activation_(activation),
      weight(add("weight", Parameter({out, in}, weight_from))),
      bias(add("bias", Parameter({out}, zeros()))) {}

}  // namespace likely
