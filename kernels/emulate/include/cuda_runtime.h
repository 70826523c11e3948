// What a .cu file sees in place of the CUDA toolkit's header when a C++ compiler reads it: the
// words of the language, the threads of a block, and the part of the runtime that likely calls.
#pragma once
#include "kernels/emulate/instructions.h"
#include "kernels/emulate/language.h"
#include "kernels/emulate/launch.h"
#include "kernels/emulate/runtime.h"
#include "kernels/emulate/warp.h"
