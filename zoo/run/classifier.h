// Classifier: a small convolutional network that tells the classes of a labelled set apart. Its
// classes and features judge samples.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "nn/convolution.h"
#include "nn/linear.h"
#include "zoo/data/data_set.h"

namespace likely {

// Hears how many are finished, and of how many.
using Done = std::function<void(std::int64_t, std::int64_t)>;

class Classifier {
 public:
  static constexpr std::int64_t width = 128;             // features
  static constexpr const char* name = "conv5x5-64-128";  // in a metric's name, and in the cache's
  // Labels of the training split, 0 … classes − 1, make the classes.
  explicit Classifier(const DataSet& data);
  Classifier(const Classifier&) = delete;

  // On the training split; every random number follows from one seed.
  void train(const DataSet& data, std::int64_t epochs, const Done& done = {});
  // The share of test images told rightly; of validation images where the test split has no labels.
  double accuracy(const DataSet& data) const;

  struct Seen {
    Tensor features;                    // f32 [n, width]: of the last layer but one
    std::vector<std::int64_t> classes;  // the likeliest
  };
  Seen look(const Tensor& images) const;  // f32 [n, height, width, channels] on the host

  std::int64_t classes() const { return network_.out.weight.shape()[0]; }
  const Module& network() const { return network_; }

 private:
  struct Layers : Module {
    Layers(const Shape& image, std::int64_t classes);
    Variable features(const Variable& images) const;
    Convolution first, second;
    Linear hidden, out;
  };
  Layers network_;
};

bool has_labels(const DataSet& data);  // of its training split

// A classifier of the data set, from the user's cache folder ($XDG_CACHE_HOME/likely, else
// ~/.cache/likely); trained now and kept there where it is not in it. Both are said.
struct CachedClassifier {
  std::unique_ptr<Classifier> classifier;
  double accuracy;
};
CachedClassifier cached_classifier(const DataSet& data,
                                   const std::function<void(const std::string&)>& say,
                                   const Done& done = {});

}  // namespace likely
