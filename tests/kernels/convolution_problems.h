// Convolutions that reach every edge of the kernels.
#pragma once
#include "kernels/convolution.h"
#include "tests/kernels/tools.h"
#include "tests/reference/convolution.h"

namespace likely::kernels {

using reference::ConvolutionSizes;

inline const ConvolutionSizes odd_convolutions[] = {
    {1, 1, 1, 1, 1},
    {2, {5, 4}, 3, 5, 1},                                 // a product of matrices
    {3, {6, 7}, 1, 7, 3, {.padding = 1}},                 // one channel
    {2, {9, 8}, 3, 16, 4, {.stride = 2, .padding = 1}},   // a first layer
    {2, {4, 4}, 40, 33, 4, {.stride = 2, .padding = 1}},  // two panels of columns
    {5, {4, 4}, 70, 1, 4},                                // to one pixel, one channel
    {2, {8, 6}, 20, 3, 3, {.padding = 1}},                // to three channels
    {1, {7, 9}, 5, 6, {3, 5}, {.stride = {2, 3}, .padding = {3, 0, 2, 1}}},
    {1, {6, 7}, 2, 18, {3, 7}, {.padding = {3, 0, 3, 3}}},  // rows above only
    {2, {9, 10}, 4, 5, {3, 2}, {.stride = {1, 2}, .padding = {2, 1}, .dilation = {2, 3}}},
    {1, {10, 11}, 3, 4, 3, {.stride = 4, .padding = {1, 2, 0, 3}}},  // taps that miss pixels
    {2, {3, 3}, 6, 8, 7, {.padding = 3}},                            // more padding than image
    {1, {4, 3}, 8, 12, 3, {.padding = 1, .groups = 2}},
    {2, {5, 5}, 6, 6, 3, {.stride = 2, .padding = 1, .groups = 6}},           // a group a channel
    {9, {3, 5}, 17, 5, {4, 3}, {.stride = {1, 2}, .padding = {2, 1, 1, 1}}},  // taps left out
    {1, {12, 20}, 60, 40, 3, {.padding = 1}},  // more than one block of k
};

// A problem of these sizes; its tensors come later.
inline ConvolutionProblem problem_of(const ConvolutionSizes& s, Direction direction) {
  ConvolutionProblem p{};
  p.direction = direction;
  p.batch = s.batch;
  p.in = s.in;
  p.out = s.out;
  p.groups = s.options.groups;
  p.image = s.image;
  p.output = s.output();
  p.kernel = s.kernel;
  p.stride = s.options.stride;
  p.dilation = s.options.dilation;
  p.top = s.options.padding.top;
  p.left = s.options.padding.left;
  return p;
}

struct Images {
  Tensor x, w, y;  // y has the output's shape
};
inline Images images_of(const ConvolutionSizes& s, DType dtype = DType::f32) {
  return {rough(s.x_shape(), dtype, 1), rough(s.w_shape(), dtype, 2), rough(s.y_shape(), dtype, 3)};
}

inline Tensor run(Direction direction, const ConvolutionSizes& s, const Images& of,
                  const Epilogue& epilogue = {}, const Into& into = {}) {
  return direction == Direction::forward ? convolution(of.x, of.w, s.options, epilogue, into)
         : direction == Direction::data
             ? transposed_convolution(of.y, of.w, s.options, s.image, epilogue, into)
             : convolution_weight(of.x, of.y, s.kernel, s.options, into);
}

inline const Direction directions[] = {Direction::forward, Direction::data, Direction::weight};

}  // namespace likely::kernels
