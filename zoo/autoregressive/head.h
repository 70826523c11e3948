// Heads: how likely each colour of a pixel is, by the features of the pixels before it. What models
// that give images pixel by pixel share.
#pragma once
#include "nn/convolution.h"
#include "zoo/run/condition.h"

namespace likely {

class Head : public Module {
 public:
  // Features [n, height, width, …] are of what lies before each pixel; x [n, height, width,
  // channels] are the pixels themselves, of which a channel sees those before it alone.
  virtual Variable log_prob(const Variable& features, const Variable& x) const = 0;  // [n]
  // Of each value that this channel may take: [n, height, width, levels].
  virtual Variable log_probabilities(const Variable& features, const Variable& x,
                                     std::int64_t channel) const = 0;
  // One pixel of each image: [n, 1, 1, channels], of features [copies n, 1, 1, …].
  virtual Tensor sample(const Variable& features, const Guidance& guidance,
                        Random& random) const = 0;
};

struct HeadOptions {
  std::string kind = "binary";   // a word of head_settings
  std::int64_t components = 10;  // of a mixture
};
std::vector<Setting> head_settings(std::int64_t components);
// UsageError where the kind of head is not one for the data.
HeadOptions head_options(const Settings& settings, const DataInfo& data);
std::unique_ptr<Head> make_head(const HeadOptions& options, std::int64_t width,
                                std::int64_t channels, std::int64_t levels);

}  // namespace likely
