#include "kernels/vendor/onednn.h"
#include "tensor/tensor.h"
