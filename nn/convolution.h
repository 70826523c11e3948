// Convolution layers, NHWC, with bias and activation in one pass.
#pragma once
#include <optional>

#include "nn/activation.h"
#include "nn/initialise.h"
#include "nn/module.h"

namespace likely {

enum class Bias { no, yes };

// x [batch, height, width, in] → activation(convolution + bias) [batch, height', width', out]:
//   Convolution(3, 64, 4, {.stride = 2, .padding = 1}, Activation::relu)
class Convolution : public Module {
 public:
  Convolution(std::int64_t in, std::int64_t out, Pixels kernel,
              const ConvolutionOptions& options = {}, const LayerActivation& activation = {},
              Bias has_bias = Bias::yes, const Initialiser& weight_from = glorot_uniform());
  Variable operator()(const Variable& x) const;

 protected:
  Named in_pytorch(const std::string& name, const Tensor& value) const override;

 private:
  ConvolutionOptions options_;
  LayerActivation after_;

 public:
  Parameter weight;  // [out, rows, columns, in / groups]
  std::optional<Parameter> bias;
};

// The adjoint of the convolution with these options, from `out` to `in` channels: stride 2 doubles
// the image. `image` is the size of the result where the smallest is not meant. The fan-in that an
// initialiser sees is the adjoint's.
class TransposedConvolution : public Module {
 public:
  TransposedConvolution(std::int64_t in, std::int64_t out, Pixels kernel,
                        const ConvolutionOptions& options = {},
                        const LayerActivation& activation = {}, Bias has_bias = Bias::yes,
                        const Initialiser& weight_from = glorot_uniform());
  Variable operator()(const Variable& x, Pixels image = 0) const;

 protected:
  Named in_pytorch(const std::string& name, const Tensor& value) const override;

 private:
  ConvolutionOptions options_;
  LayerActivation after_;

 public:
  Parameter weight;  // [in, rows, columns, out / groups]
  std::optional<Parameter> bias;
};

}  // namespace likely
