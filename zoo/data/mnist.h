// MNIST, Fashion-MNIST and the binarized MNIST of the literature, from IDX files.
#pragma once
#include "zoo/data/catalogue.h"

namespace likely {

// train: rows 0..49999 of the training file, validation: rows 50000..59999, test: the t10k files.
// `mnist` with sampled binarisation is tested on binarized-mnist's test images where their file is
// present: published likelihoods of dynamically binarised MNIST are.
DataSetDescription mnist_description();
DataSetDescription fashion_mnist_description();
// Salakhutdinov & Murray 2008, in Larochelle's files: one published draw of each pixel.
DataSetDescription binarized_mnist_description();

}  // namespace likely
