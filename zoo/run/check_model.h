// check-gradients for a model: its whole loss on one batch in f64, against central differences.
#pragma once
#include <string>
#include <vector>

#include "zoo/run/configuration.h"

namespace likely {

struct ModelCheck {
  std::string network;  // empty where there is only one
  int order = 1;
  double error = 0, bar = 0;
  double step = 0;  // h of the differences, shrunk where a kink was near
  bool passed() const { return error <= bar; }
};

// Each network's loss, the others being constants; both orders, each over random directions of all
// the network's parameters at once.
std::vector<ModelCheck> check_model(const ModelDescription& description,
                                    const Configuration& configuration, int directions);

// "wgan: loss of critic, first order: error 3.1e-11, bar 1e-07, h 1e-05: ok"
std::string to_line(const std::string& model, const ModelCheck& check);

}  // namespace likely
