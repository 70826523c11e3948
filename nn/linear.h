// Linear: activation(x wᵀ + b), weights [out, in].
#pragma once
#include "nn/activation.h"
#include "nn/initialise.h"
#include "nn/module.h"

namespace likely {

class Linear : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, const LayerActivation& activation = {},
         const Initialiser& weight_from = glorot_uniform());
  Variable operator()(const Variable& x) const {
    return linear(x, weight, bias, after_.activation, after_.slope);
  }

 private:
  LayerActivation after_;

 public:
  Parameter weight, bias;
};

}  // namespace likely
