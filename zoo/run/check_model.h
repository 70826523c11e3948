// check-gradients for a model: its whole loss on one batch in f64, against central differences.
#pragma once
#include <string>
#include <vector>

#include "zoo/run/configuration.h"

namespace likely {

struct ModelCheck {
  int order = 1;
  double error = 0, bar = 0;
  double step = 0;  // h of the differences, shrunk where a kink was near
  bool passed() const { return error <= bar; }
};

// Both orders, each over random directions of all parameters at once.
std::vector<ModelCheck> check_model(const ModelDescription& description,
                                    const Configuration& configuration, int directions);

// "vae: loss, first order: error 3.1e-11, bar 1e-07, h 1e-05: ok"
std::string to_line(const std::string& model, const ModelCheck& check);

}  // namespace likely
