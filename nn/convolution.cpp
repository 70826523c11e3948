#include "nn/convolution.h"

namespace likely {
namespace {

std::int64_t in_each_group(const char* layer, const char* side, std::int64_t channels,
                           const ConvolutionOptions& options) {
  require(options.groups >= 1 && channels % options.groups == 0,
          "{}: {} {} channels do not divide into {} groups. Choose numbers that do.", layer,
          channels, side, options.groups);
  return channels / options.groups;
}

// PyTorch's rows and columns stand last, of both kinds of convolution.
Tensor rows_and_columns_last(const Tensor& value) {
  return value.rank() == 4 ? value.permute({0, 3, 1, 2}) : value;
}

}  // namespace

Convolution::Convolution(std::int64_t in, std::int64_t out, Pixels kernel,
                         const ConvolutionOptions& options, const LayerActivation& activation,
                         Bias has_bias, const Initialiser& weight_from)
    : options_(options),
      after_(activation),
      weight(add("weight", Parameter({out, kernel.rows, kernel.columns,
                                      in_each_group("Convolution", "in", in, options)},
                                     weight_from))) {
  if (has_bias == Bias::yes)
    bias = add("bias", Parameter({out}, zeros()));
}

Variable Convolution::operator()(const Variable& x) const {
  return convolution(x, weight, bias ? (*bias)() : none, options_, after_.activation, after_.slope);
}

Module::Named Convolution::in_pytorch(const std::string& name, const Tensor& value) const {
  return {name, rows_and_columns_last(value)};
}

Module::Named TransposedConvolution::in_pytorch(const std::string& name,
                                                const Tensor& value) const {
  return {name, rows_and_columns_last(value)};
}

TransposedConvolution::TransposedConvolution(std::int64_t in, std::int64_t out, Pixels kernel,
                                             const ConvolutionOptions& options,
                                             const LayerActivation& activation, Bias has_bias,
                                             const Initialiser& weight_from)
    : options_(options),
      after_(activation),
      weight(add("weight", Parameter({in, kernel.rows, kernel.columns,
                                      in_each_group("TransposedConvolution", "out", out, options)},
                                     weight_from))) {
  if (has_bias == Bias::yes)
    bias = add("bias", Parameter({out}, zeros()));
}

Variable TransposedConvolution::operator()(const Variable& x, Pixels image) const {
  return transposed_convolution(x, weight, bias ? (*bias)() : none, options_, image,
                                after_.activation, after_.slope);
}

}  // namespace likely
