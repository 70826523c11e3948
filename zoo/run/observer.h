// Observer: what a training run computes beside its steps: bounds on held-out images, and pictures.
// The same code runs on `meta` for a plan.
#pragma once
#include "zoo/run/evaluate.h"
#include "zoo/run/trainer.h"

namespace likely {

class Observer {
 public:
  Observer(Trainer& trainer, const Configuration& configuration, const DataSet& data,
           Device device);

  // The cheapest bound (one importance sample) on `eval-count` images, or as many samples judged:
  // against validation data while training, test data at its end.
  Evaluation evaluate(Split split);

  // Of a model of images given their label.
  struct Given {
    std::optional<std::int64_t> label = {};  // of all samples; without one, rows of each in turn
    double guidance = 1;
  };
  // Bytes, [n, height, width, channels], the same noise for the same seed: samples (points all in
  // one picture); and rows of test images above rows of their reconstructions, undefined where the
  // model has none.
  Tensor samples(std::int64_t count, std::uint64_t seed, const Given& given = {{}, 1});
  // Rows of `columns` samples from one draw of z to another; undefined where the model has no z.
  Tensor interpolations(std::int64_t rows, std::uint64_t seed);
  Tensor reconstructions();
  static constexpr std::int64_t columns = 8;
  std::int64_t pictured() const;  // samples, usually

 private:
  void require_drawable(const Tensor& samples) const;  // Diverged where one is not finite
  Tensor picture(const Tensor& samples) const;
  Tensor as_bytes(const Tensor& images) const;

  Trainer& trainer_;
  const Configuration& configuration_;
  const DataSet& data_;
  Device device_;
  Tensor validation_;
};

}  // namespace likely
