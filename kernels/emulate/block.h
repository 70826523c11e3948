// What the engine and the instructions share of the block that runs.
#pragma once
#include <cstddef>
#include <span>

namespace likely::kernels::emulate {

// Shared memory of `bytes`, with none beyond it; what the launch counts begins.
void begin_launch(std::size_t bytes);
void begin_block();              // shared memory full of 0xff, which is NaN
void begin_thread(int thread);   // no copies under way
bool stayed_in_shared_memory();  // whether the bytes behind it are as they were

// Sixteen-byte accesses of eight lanes go to shared memory together; more than once where they want
// different words of one bank.
void count_conflicts(std::span<const void* const> addresses);
void begin_counting();  // a block's accesses

}  // namespace likely::kernels::emulate
