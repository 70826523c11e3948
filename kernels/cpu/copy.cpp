// Copies and fills on the CPU: two inner axes at a time, in tiles that stay in the first cache.
#include "kernels/copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 15;  // elements a thread takes at a time

// Floating point to integer truncates towards zero, saturates, and takes NaN to 0. Between
// integers the low bits stay.
template <class To, class From>
inline To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, bf16>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return bf16(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From end = From{2} * static_cast<From>(std::numeric_limits<To>::max() / 2 + 1);
    if (value >= end)
      return std::numeric_limits<To>::max();
    if (value <= low)
      return std::numeric_limits<To>::min();
    return value == value ? static_cast<To>(value) : To{0};
  } else {
    return static_cast<To>(value);
  }
}

template <class T>
inline auto widened(T value) {
  if constexpr (std::is_same_v<T, bf16>)
    return static_cast<float>(value);
  else
    return value;
}

template <bool add, class To, class From>
inline void put(To& to, From from) {
  if constexpr (add)
    to = convert<To>(widened(to) + widened(from));
  else
    to = convert<To>(from);
}

// Rows and columns of one tile: the last axis of the problem, and the axis that suits the source.
struct Tile {
  std::int64_t rows, columns, to_row, to_column, from_row, from_column;
};

template <bool add, class To, class From>
void copy_tile(To* to, const From* from, const Tile& tile) {
  for (std::int64_t i = 0; i < tile.rows; ++i, to += tile.to_row, from += tile.from_row) {
    if (tile.to_column == 1 && tile.from_column == 1) {
      if constexpr (!add && std::is_same_v<To, From>)
        std::memcpy(to, from, static_cast<std::size_t>(tile.columns) * sizeof(To));
      else
        for (std::int64_t j = 0; j < tile.columns; ++j)
          put<add>(to[j], from[j]);
    } else {
      for (std::int64_t j = 0; j < tile.columns; ++j)
        put<add>(to[j * tile.to_column], from[j * tile.from_column]);
    }
  }
}

// Cuts a problem into tiles and calls f(to offset, from offset, tile) for each, in parallel.
template <class F>
void for_each_tile(const CopyProblem& problem, F f) {
  const int rank = problem.shape.rank(), column = rank - 1;
  if (rank == 0)
    return f(0, 0, Tile{1, 1, 0, 0, 0, 0});
  // The row axis is the one along which the source is densest, or the next one out.
  int row = column - 1;
  for (int i = column - 2; i >= 0; --i)
    if (std::abs(problem.from_strides[i]) < std::abs(problem.from_strides[row]))
      row = i;
  const std::int64_t columns = problem.shape[column], rows = row >= 0 ? problem.shape[row] : 1;
  const bool transposes =
      row >= 0 && std::abs(problem.from_strides[row]) < std::abs(problem.from_strides[column]);
  const std::int64_t tile_columns = std::min<std::int64_t>(columns, transposes ? 32 : 8192);
  const std::int64_t tile_rows =
      std::min<std::int64_t>(rows, transposes ? 32 : std::max<std::int64_t>(8192 / columns, 1));
  const std::int64_t across = (columns + tile_columns - 1) / tile_columns;
  const std::int64_t down = (rows + tile_rows - 1) / tile_rows;
  std::int64_t tiles = across * down;
  for (int i = 0; i < column; ++i)
    if (i != row)
      tiles *= problem.shape[i];

  parallel_for(tiles, std::max<std::int64_t>(chunk / (tile_rows * tile_columns), 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t t = begin; t < end; ++t) {
                   const std::int64_t j = t % across * tile_columns;
                   const std::int64_t i = t / across % down * tile_rows;
                   std::int64_t to = j * problem.to_strides[column];
                   std::int64_t from = j * problem.from_strides[column];
                   Tile tile{std::min(tile_rows, rows - i),
                             std::min(tile_columns, columns - j),
                             0,
                             problem.to_strides[column],
                             0,
                             problem.from_strides[column]};
                   if (row >= 0) {
                     tile.to_row = problem.to_strides[row];
                     tile.from_row = problem.from_strides[row];
                     to += i * tile.to_row;
                     from += i * tile.from_row;
                   }
                   std::int64_t rest = t / (across * down);
                   for (int axis = column - 1; axis >= 0; --axis)
                     if (axis != row) {
                       const std::int64_t at = rest % problem.shape[axis];
                       rest /= problem.shape[axis];
                       to += at * problem.to_strides[axis];
                       from += at * problem.from_strides[axis];
                     }
                   f(to, from, tile);
                 }
               });
}

template <bool add, class To, class From>
void copy_typed(const CopyProblem& problem) {
  auto* to = static_cast<To*>(problem.to);
  const auto* from = static_cast<const From*>(problem.from);
  for_each_tile(problem, [=](std::int64_t t, std::int64_t f, const Tile& tile) {
    copy_tile<add>(to + t, from + f, tile);
  });
}

void copy(const CopyProblem& problem) {
  with_type(problem.to_dtype, [&]<class To>(Type<To>) {
    with_type(problem.from_dtype, [&]<class From>(Type<From>) {
      if constexpr (is_floating(dtype_of<To>) && is_floating(dtype_of<From>))
        if (problem.add)
          return copy_typed<true, To, From>(problem);
      copy_typed<false, To, From>(problem);
    });
  });
}

void fill(const CopyProblem& problem, double value) {
  with_type(problem.to_dtype, [&]<class T>(Type<T>) {
    auto* to = static_cast<T*>(problem.to);
    const T element = convert<T>(value);
    for_each_tile(problem, [=](std::int64_t offset, std::int64_t, const Tile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        T* row = to + offset + i * tile.to_row;
        if (tile.to_column == 1)
          std::fill_n(row, tile.columns, element);
        else
          for (std::int64_t j = 0; j < tile.columns; ++j)
            row[j * tile.to_column] = element;
      }
    });
  });
}

const Registered<CopyBackend> registered(copy_family(), Device::cpu, Source::own,
                                         {"copy", copy, fill});

}  // namespace
}  // namespace likely::kernels
