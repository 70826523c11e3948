// Layers that normalise, with the activation that follows them. Where x is bf16 their scales and
// shifts stay f32, as the statistics are.
#pragma once
#include "nn/initialise.h"
#include "nn/module.h"

namespace likely {

// A layer with scale and shift, which PyTorch calls weight and bias.
class Norm : public Module {
 protected:
  Named in_pytorch(const std::string& name, const Tensor& value) const override;
};

// Ioffe & Szegedy 2015: channels by the mean and variance of the batch in training, by running
// averages of these in evaluation: running ← (1 - momentum) running + momentum batch, where the
// running variance is unbiased.
class BatchNorm : public Norm {
 public:
  struct Options {
    Activation activation = Activation::none;
    double slope = 0.2;  // of leaky_relu below zero
    double epsilon = 1e-5, momentum = 0.1;
    Initialiser scale_from = constant(1);
  };
  explicit BatchNorm(std::int64_t channels) : BatchNorm(channels, Options{}) {}
  BatchNorm(std::int64_t channels, const Options& options);
  Variable operator()(const Variable& x);  // [batch, …, channels]

 private:
  void stage(const kernels::Moments& of_batch, std::int64_t count);
  kernels::Normalise how_;
  double momentum_;

 public:
  Parameter scale, shift;
  Buffer running_mean, running_variance;
};

// Ba, Kiros & Hinton 2016: each row of the last axis by its own mean and variance.
class LayerNorm : public Norm {
 public:
  explicit LayerNorm(std::int64_t channels, const kernels::Normalise& how = {});
  Variable operator()(const Variable& x) const { return layer_norm(x, scale, shift, how_); }

 private:
  kernels::Normalise how_;

 public:
  Parameter scale, shift;
};

// Ulyanov et al. 2016: each channel of each image by its own mean and variance.
class InstanceNorm : public Norm {
 public:
  explicit InstanceNorm(std::int64_t channels, const kernels::Normalise& how = {});
  Variable operator()(const Variable& x) const { return instance_norm(x, scale, shift, how_); }

 private:
  kernels::Normalise how_;

 public:
  Parameter scale, shift;
};

// Wu & He 2018: groups of neighbouring channels of each image by their own mean and variance.
class GroupNorm : public Norm {
 public:
  GroupNorm(std::int64_t channels, std::int64_t groups, const kernels::Normalise& how = {});
  // Of x + offset, where an offset [images, channels] is given.
  Variable operator()(const Variable& x, const Variable& offset = none) const {
    return group_norm(x, scale, shift, groups_, how_, offset);
  }

 private:
  std::int64_t groups_;
  kernels::Normalise how_;

 public:
  Parameter scale, shift;
};

}  // namespace likely
