// What an audit goes through: a copy of the model for images of another size, and small images.
#pragma once
#include "zoo/run/audit_checks.h"

namespace likely {

// On the CPU, with the model's weights, unless some have another shape for images of that size.
class AuditedCopy {
 public:
  AuditedCopy(const AuditSubject& subject, const Shape& image, DType dtype);

  Model& model() const { return *model_; }
  const Autoregressive& autoregressive() const {
    return dynamic_cast<const Autoregressive&>(*model_);
  }
  const char* weights() const {
    return of_run_ ? "the run's weights" : "fresh weights, for the run's are of another size";
  }
  // That label for `count` images; undefined where the model takes none.
  Tensor labels(std::int64_t label, std::int64_t count) const;

 private:
  std::unique_ptr<Model> model_;
  bool of_run_ = true;
};

// Images of 3 x 3, or else of 2 x 2, in all ways. Where these too are more than 65,536: in all ways
// in which one of them may end.
class SmallImages {
 public:
  SmallImages(std::int64_t channels, int levels);  // levels > 0

  const Shape& image() const { return image_; }
  std::int64_t free() const { return free_; }  // elements that vary, the last ones
  bool whole() const { return free_ == image_.numel(); }
  Tensor all(DType dtype) const;
  std::string to_string() const;

 private:
  int levels_;
  Shape image_;
  std::int64_t free_ = 0, count_ = 1;
};

}  // namespace likely
