// The convolutions of the workloads that models are timed with, each in the words of the
// convolution: a transposed layer is the data gradient of one of these.
#pragma once
#include "kernels/convolution.h"

namespace likely {

struct ConvolutionLayer {
  const char* workload;
  std::int64_t batch;
  kernels::Pixels image;
  std::int64_t in, out;
  kernels::Pixels kernel;
  kernels::ConvolutionOptions options = {};
};

inline const kernels::ConvolutionOptions halving{.stride = 2, .padding = 1}, same{.padding = 1};

inline const ConvolutionLayer convolution_layers[] = {
    {"vae-conv", 128, 32, 3, 32, 4, halving},
    {"vae-conv", 128, 16, 32, 64, 4, halving},
    {"vae-conv", 128, 8, 64, 128, 4, halving},
    {"vae-conv", 128, 4, 128, 256, 4, halving},
    {"dcgan", 64, 64, 3, 64, 4, halving},
    {"dcgan", 64, 32, 64, 128, 4, halving},
    {"dcgan", 64, 16, 128, 256, 4, halving},
    {"dcgan", 64, 8, 256, 512, 4, halving},
    {"dcgan", 64, 4, 512, 1, 4},
    {"dcgan", 64, 4, 512, 100, 4},
    {"wgan-gp", 64, 32, 3, 64, 4, halving},
    {"wgan-gp", 64, 16, 64, 128, 4, halving},
    {"wgan-gp", 64, 8, 128, 256, 4, halving},
    {"pixelcnn", 64, {27, 28}, 1, 128, {3, 7}, {.padding = {3, 0, 3, 3}}},
    {"pixelcnn", 64, {28, 27}, 1, 128, {1, 3}, {.padding = {0, 0, 3, 0}}},
    {"pixelcnn", 64, 28, 64, 128, {2, 3}, {.padding = {1, 0, 1, 1}}},
    {"pixelcnn", 64, 28, 64, 128, {1, 2}, {.padding = {0, 0, 1, 0}}},
    {"pixelcnn", 64, 28, 128, 128, 1},
    {"pixelcnn", 64, 28, 64, 64, 1},
    {"pixelcnn", 64, 28, 64, 1, 1},
    {"ddpm-small", 64, 32, 1, 32, 3, same},
    {"ddpm-small", 64, 32, 32, 32, 3, same},
    {"ddpm-small", 64, 32, 64, 32, 3, same},
    {"ddpm-small", 64, 32, 64, 32, 1},
    {"ddpm-small", 64, 32, 32, 32, 3, halving},
    {"ddpm-small", 64, 16, 32, 64, 3, same},
    {"ddpm-small", 64, 16, 64, 64, 3, same},
    {"ddpm-small", 64, 16, 128, 64, 3, same},
    {"ddpm-small", 64, 8, 64, 64, 3, same},
    {"ddpm-small", 64, 8, 64, 64, 1},
    {"ddpm-small", 64, 32, 32, 1, 3, same},
    {"ddpm-paper", 8, 32, 3, 128, 3, same},
    {"ddpm-paper", 8, 32, 128, 128, 3, same},
    {"ddpm-paper", 8, 32, 256, 128, 3, same},
    {"ddpm-paper", 8, 32, 128, 128, 3, halving},
    {"ddpm-paper", 8, 16, 128, 256, 3, same},
    {"ddpm-paper", 8, 16, 256, 256, 3, same},
    {"ddpm-paper", 8, 16, 512, 256, 1},
    {"ddpm-paper", 8, 8, 256, 256, 3, same},
    {"ddpm-paper", 8, 4, 512, 256, 3, same},
    {"ddpm-paper", 8, 32, 128, 3, 3, same},
};

}  // namespace likely
