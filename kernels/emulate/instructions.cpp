// Shared memory, copies beside the arithmetic, and the tensor cores' instructions, as they are
// defined.
#include "kernels/emulate/instructions.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "kernels/cuda.h"
#include "kernels/emulate/block.h"
#include "kernels/emulate/memory.h"
#include "kernels/emulate/sanitizers.h"

namespace likely::kernels::emulate {
namespace {

constexpr std::size_t capacity = 256 * 1024;  // more than any profile lets a launch have
alignas(1024) std::byte memory[capacity];
constexpr std::size_t behind = sanitized ? 0 : 128;  // bytes that show a write too far

// cp.async's copies that a thread has begun.
struct Copy {
  std::byte* to;
  const std::byte* from;  // null: zeros
  int group;
};
struct Copies {
  std::vector<Copy> begun;
  int group = 0;  // the one that the next commit closes
};
auto& copies = *new std::array<Copies, 1024>;  // of each thread
bool early = false;

void land(const Copy& copy) {
  if (copy.from)
    std::memcpy(copy.to, copy.from, 16);
  else
    std::memset(copy.to, 0, 16);
}

}  // namespace

SharedMemory block_memory{memory, 0};

void begin_launch(std::size_t bytes) {
  block_memory.size = bytes;
  permit(memory, capacity);
  forbid(memory + bytes, capacity - bytes);
  early = emulation().copies == Emulation::Copies::early;
}

void begin_block() {
  std::memset(memory, 0xff, block_memory.size + behind);
  begin_counting();
}

bool stayed_in_shared_memory() {
  const std::byte* const end = memory + block_memory.size;
  return std::all_of(end, end + behind, [](std::byte byte) { return byte == std::byte{0xff}; });
}

void begin_thread(int thread) {
  copies[thread].begun.clear();
  copies[thread].group = 0;
}

void too_little_shared_memory(std::size_t bytes, Site site) {
  fault(site, "shared memory: the kernel wants {} bytes, the launch has {}", bytes,
        block_memory.size);
}

void misaligned(const char* what, const void* address, Site site) {
  fault(site, "{}: the address {} is not a multiple of 16", what, address);
}

void cp_async16(void* to, const void* from, bool valid, Site site) {
  require_aligned16("cp.async to", to, site);
  require_aligned16("cp.async from", from, site);
  if (!block_memory.contains(to))
    fault(site, "cp.async to: {} is not in the block's shared memory", to);
  if (valid && !on_device(from))
    fault(site, "cp.async from: {} is not in the device's memory", from);
  Copies& mine = copies[threadIdx.x];
  const Copy copy{static_cast<std::byte*>(to),
                  valid ? static_cast<const std::byte*>(from) : nullptr, mine.group};
  if (early)
    land(copy);
  else
    mine.begun.push_back(copy);
}

void cp_async_commit() { ++copies[threadIdx.x].group; }

void cp_async_wait(int pending) {
  Copies& mine = copies[threadIdx.x];
  std::size_t landed = 0;
  while (landed < mine.begun.size() && mine.begun[landed].group < mine.group - pending)
    land(mine.begun[landed++]);
  mine.begun.erase(mine.begun.begin(), mine.begun.begin() + static_cast<std::ptrdiff_t>(landed));
}

void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, bool transposed, Site site) {
  require_aligned16("ldmatrix", row, site);
  if (!block_memory.contains(row))
    fault(site, "ldmatrix: {} is not in the block's shared memory", row);
  struct Lane {
    std::uint16_t row[8];
    const void* address;
    std::uint32_t* r;
    bool transposed;
  } mine{{}, row, r, transposed};
  std::memcpy(mine.row, row, 16);
  meet(
      ~0u, transposed ? "ldmatrix.trans" : "ldmatrix", &mine,
      [](const Lanes& lanes) {
        const auto element = [&](int matrix, int row, int column) -> std::uint32_t {
          return static_cast<Lane*>(lanes.of[matrix * 8 + row])->row[column];
        };
        const void* addresses[32];
        for (int l = 0; l < 32; ++l)
          addresses[l] = static_cast<Lane*>(lanes.of[l])->address;
        for (int i = 0; i < 4; ++i)
          count_conflicts({addresses + 8 * i, 8});
        for (int l = 0; l < 32; ++l) {
          const auto& lane = *static_cast<Lane*>(lanes.of[l]);
          for (int i = 0; i < 4; ++i) {
            const int a = l / 4, b = 2 * (l % 4);
            const std::uint32_t low = lane.transposed ? element(i, b, a) : element(i, a, b);
            const std::uint32_t high =
                lane.transposed ? element(i, b + 1, a) : element(i, a, b + 1);
            lane.r[i] = high << 16 | low;
          }
        }
      },
      false, site);
}

namespace {

struct Fragments {
  float* d;
  const std::uint32_t *a, *b;
};

// d += a b for 16 × 8 sums over `depth`; lane l's d[i] is (l / 4 + 8 (i / 2), 2 (l % 4) + i % 2).
template <int depth>
void multiply(const Lanes& lanes, const float (&a)[16][depth], const float (&b)[depth][8]) {
  float d[16][8];
  const auto each = [&](auto f) {
    for (int l = 0; l < 32; ++l)
      for (int i = 0; i < 4; ++i)
        f(static_cast<Fragments*>(lanes.of[l])->d[i], d[l / 4 + 8 * (i / 2)][2 * (l % 4) + i % 2]);
  };
  each([](float& mine, float& sum) { sum = mine; });
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < depth; ++k)
      for (int column = 0; column < 8; ++column)
        d[row][column] += a[row][k] * b[k][column];
  each([](float& mine, float& sum) { mine = sum; });
}

float low(std::uint32_t pair) { return std::bit_cast<float>(pair << 16); }
float high(std::uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }
float truncated(std::uint32_t tf32) { return std::bit_cast<float>(tf32 & 0xffffe000u); }

}  // namespace

void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Site site) {
  Fragments mine{d, a, b};
  meet(
      ~0u, "mma.m16n8k16", &mine,
      [](const Lanes& lanes) {
        float a[16][16], b[16][8];
        for (int l = 0; l < 32; ++l) {
          const auto& lane = *static_cast<Fragments*>(lanes.of[l]);
          const int g = l / 4, t = l % 4;
          for (int i = 0; i < 4; ++i) {
            float* const pair = &a[g + 8 * (i % 2)][2 * t + 8 * (i / 2)];
            pair[0] = low(lane.a[i]);
            pair[1] = high(lane.a[i]);
          }
          for (int i = 0; i < 2; ++i) {
            b[2 * t + 8 * i][g] = low(lane.b[i]);
            b[2 * t + 8 * i + 1][g] = high(lane.b[i]);
          }
        }
        multiply<16>(lanes, a, b);
      },
      false, site);
}

void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Site site) {
  Fragments mine{d, a, b};
  meet(
      ~0u, "mma.m16n8k8", &mine,
      [](const Lanes& lanes) {
        float a[16][8], b[8][8];
        for (int l = 0; l < 32; ++l) {
          const auto& lane = *static_cast<Fragments*>(lanes.of[l]);
          const int g = l / 4, t = l % 4;
          for (int i = 0; i < 4; ++i)
            a[g + 8 * (i % 2)][t + 4 * (i / 2)] = truncated(lane.a[i]);
          for (int i = 0; i < 2; ++i)
            b[t + 4 * i][g] = truncated(lane.b[i]);
        }
        multiply<8>(lanes, a, b);
      },
      false, site);
}

std::uint32_t to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000u) == 0x7f800000u)
    return bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

unsigned ballot(const char* what, unsigned mask, bool predicate, Site site) {
  struct Vote {
    bool mine;
    unsigned result;
  } vote{predicate, 0};
  meet(
      mask, what, &vote,
      [](const Lanes& lanes) {
        unsigned votes = 0;
        for (int lane = 0; lane < 32; ++lane)
          if (lanes.mask >> lane & 1)
            votes |= static_cast<unsigned>(static_cast<Vote*>(lanes.of[lane])->mine) << lane;
        for (int lane = 0; lane < 32; ++lane)
          if (lanes.mask >> lane & 1)
            static_cast<Vote*>(lanes.of[lane])->result = votes;
      },
      false, site);
  return vote.result;
}

}  // namespace likely::kernels::emulate
