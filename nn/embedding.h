// Embedding: a trained row for each index.
#pragma once
#include "nn/initialise.h"
#include "nn/module.h"

namespace likely {

class Embedding : public Module {
 public:
  Embedding(std::int64_t count, std::int64_t width, const Initialiser& weight_from = normal(1))
      : weight(add("weight", Parameter({count, width}, weight_from))) {}
  Variable operator()(const Tensor& index) const { return take(weight, index); }  // i64 [n]

  Parameter weight;  // [count, width]
};

}  // namespace likely
