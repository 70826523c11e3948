// The adversarial models.
#pragma once
#include "tests/zoo/tiny_run.h"
#include "zoo/models/dcgan.h"

namespace likely {

ModelDescription wgan_description();
ModelDescription wgan_gp_description();

inline std::vector<ModelDescription> adversarial_descriptions() {
  return {dcgan_description(), wgan_description(), wgan_gp_description()};
}

}  // namespace likely
