// Guards: memory of a device that is handed out full of NaN, between bands that nothing may write.
#pragma once
#include <string>

#include "tensor/device.h"

namespace likely::kernels {

// From now on, and as long as the process lives: what proves kernels guards all their memory.
void guard_memory(Device device);

// Whether a band was written since the last call, and where; empty where none was.
std::string broken_guards();

}  // namespace likely::kernels
