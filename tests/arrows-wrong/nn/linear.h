#include "zoo/data/mnist.h"
