// Autoregressive: what a model says that gives an image's elements one by one, by which its
// likelihood is audited and its images are coded.
#pragma once
#include <cstdint>
#include <memory>

#include "autograd/variable.h"

namespace likely {

// p(x) = Π p(x_i | x_1 … x_{i-1}), the elements of [height, width, channels] in the order in which
// they lie in memory. A model that is one derives from it, beside Model. Where it takes labels
// (Model::classes), all is given the images' labels, i64 [n]; elsewhere those are undefined.
class Autoregressive {
 public:
  // Images of which equally many elements are known, none at first.
  class Prefix {
   public:
    virtual ~Prefix() = default;
    // Of each value that the next element may take: [n, levels]. The same bits for the same known
    // elements.
    virtual Tensor log_probabilities() = 0;
    virtual void append(const Tensor& elements) = 0;  // [n], in [0, 1]
  };

  virtual ~Autoregressive() = default;
  // Runs without a tape; must not outlive the model. The images are of the model's size.
  virtual std::unique_ptr<Prefix> begin(std::int64_t count, const Tensor& labels) const = 0;
  // The same of all elements at once, whole images given: x [n, height, width, channels] →
  // [n, elements, levels], differentiable in x.
  virtual Variable log_probabilities(const Variable& x, const Tensor& labels) const = 0;
  // How many rows above a pixel, and columns to either side of it, its element may depend on.
  virtual std::int64_t reach() const = 0;
  // Whether there are earlier pixels within that reach on which it cannot depend.
  virtual bool has_blind_spot() const { return false; }
};

}  // namespace likely
