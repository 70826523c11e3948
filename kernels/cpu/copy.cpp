// Copies and fills on the CPU: two inner axes at a time, in tiles that stay in the first cache.
#include "kernels/copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/convert.h"
#include "kernels/parallel.h"

namespace likely::kernels {
namespace {

constexpr std::int64_t chunk = 1 << 15;  // elements a thread takes at a time
constexpr std::int64_t tile_elements = 8192;
constexpr std::int64_t transposed_side = 32;  // of a square tile

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

// A tile whose source is dense along the rows is read in that order into a buffer of odd width:
// read by columns, lines a power of two apart would evict each other.
template <bool add, class To, class From>
void transpose_tile(To* to, const From* from, const Tile& tile) {
  constexpr std::int64_t width = transposed_side + 1;
  From staged[transposed_side * width];
  for (std::int64_t j = 0; j < tile.columns; ++j, from += tile.from_column)
    for (std::int64_t i = 0; i < tile.rows; ++i)
      staged[i * width + j] = from[i * tile.from_row];
  copy_tile<add>(to, staged, {tile.rows, tile.columns, tile.to_row, tile.to_column, width, 1});
}

// How a problem is cut into tiles.
class Tiling {
 public:
  explicit Tiling(const CopyProblem& problem) : problem_(problem) {
    for (int i = column_ - 2; i >= 0; --i)
      if (from_stride(i) < from_stride(row_))
        row_ = i;
    rows_ = row_ >= 0 ? problem.shape[row_] : 1;
    columns_ = column_ >= 0 ? problem.shape[column_] : 1;
    transposes_ = row_ >= 0 && from_stride(column_) > 1 && from_stride(row_) < from_stride(column_);
    tile_columns_ = std::min(columns_, transposes_ ? transposed_side : tile_elements);
    tile_rows_ = std::min(
        rows_, transposes_ ? transposed_side : std::max<std::int64_t>(tile_elements / columns_, 1));
    across_ = (columns_ + tile_columns_ - 1) / tile_columns_;
    down_ = (rows_ + tile_rows_ - 1) / tile_rows_;
  }

  bool transposes() const { return transposes_; }

  // Calls f(to offset, from offset, tile) for every tile, in parallel.
  template <class F>
  void for_each(F f) const {
    const std::int64_t tiles = problem_.shape.numel() / (rows_ * columns_) * across_ * down_;
    const std::int64_t grain = std::max<std::int64_t>(chunk / (tile_rows_ * tile_columns_), 1);
    parallel_for(tiles, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        call(t, f);
    });
  }

 private:
  std::int64_t from_stride(int axis) const { return std::abs(problem_.from_strides[axis]); }

  template <class F>
  void call(std::int64_t t, F f) const {
    Tile tile{1, 1, 0, 0, 0, 0};
    std::int64_t to = 0, from = 0;
    const auto move = [&](int axis, std::int64_t at) {
      to += at * problem_.to_strides[axis];
      from += at * problem_.from_strides[axis];
    };
    if (column_ >= 0) {
      const std::int64_t at = t % across_ * tile_columns_;
      tile.columns = std::min(tile_columns_, columns_ - at);
      tile.to_column = problem_.to_strides[column_];
      tile.from_column = problem_.from_strides[column_];
      move(column_, at);
    }
    if (row_ >= 0) {
      const std::int64_t at = t / across_ % down_ * tile_rows_;
      tile.rows = std::min(tile_rows_, rows_ - at);
      tile.to_row = problem_.to_strides[row_];
      tile.from_row = problem_.from_strides[row_];
      move(row_, at);
    }
    std::int64_t rest = t / (across_ * down_);
    for (int axis = column_ - 1; axis >= 0; --axis)
      if (axis != row_) {
        move(axis, rest % problem_.shape[axis]);
        rest /= problem_.shape[axis];
      }
    f(to, from, tile);
  }

  const CopyProblem& problem_;
  // The columns are the last axis, the rows the one along which the source is densest, or the next
  // one out; below 0 where there are too few axes.
  int column_ = problem_.shape.rank() - 1, row_ = column_ - 1;
  std::int64_t rows_, columns_, tile_rows_, tile_columns_, across_, down_;
  bool transposes_;
};

template <bool add, class To, class From>
void copy_typed(const CopyProblem& problem) {
  auto* to = static_cast<To*>(problem.to);
  const auto* from = static_cast<const From*>(problem.from);
  const Tiling tiling(problem);
  tiling.for_each([&](std::int64_t t, std::int64_t f, const Tile& tile) {
    if (tiling.transposes())
      transpose_tile<add>(to + t, from + f, tile);
    else
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
    Tiling(problem).for_each([=](std::int64_t offset, std::int64_t, const Tile& tile) {
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
