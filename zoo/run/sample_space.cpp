#include "zoo/run/sample_space.h"

namespace likely {

Variable SampleSpace::from_data(const Tensor& samples) const {
  return points() ? Variable(samples) : Variable(samples) * 2.0 - 1.0;
}

Tensor SampleSpace::to_data(const Variable& generated) const {
  return points() ? generated.value() : (generated * 0.5 + 0.5).value();
}

}  // namespace likely
