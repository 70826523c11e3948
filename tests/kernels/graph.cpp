// Work recorded and replayed, what refuses to be, and values that come to the host late.
#include "kernels/graph.h"

#include <cstring>

#include "kernels/gather.h"
#include "tests/captured.h"
#include "tests/kernels/tools.h"

using namespace likely;
using namespace likely::kernels;

TEST_CASE("late reads: values come in the order in which they were sent for, as they were then") {
  LateReads reads(device_under_test());
  const Tensor x = filled({3}, 1), y = filled({1}, 5, DType::f64);
  for (int i = 0; i < 3; ++i) {
    reads.send_for({x, y});
    add_into(x, filled({}, 1));
  }
  for (int i = 0; i < 3; ++i) {
    const std::vector<std::byte> bytes = reads.take();
    REQUIRE(bytes.size() == 3 * sizeof(float) + sizeof(double));
    float first[3];
    double second;
    std::memcpy(first, bytes.data(), sizeof first);
    std::memcpy(&second, bytes.data() + sizeof first, sizeof second);
    CHECK(first[2] == 1.0f + static_cast<float>(i));
    CHECK(second == 5);
  }
  CHECK(message([&] { reads.take(); }) == "late reads: nothing was sent for.");
}

namespace {

// What is said on stderr while f runs.
template <class F>
std::string said(const F& f) {
  const Captured messages(2);
  f();
  return messages.text();
}

}  // namespace

TEST_CASE("graphs: a CPU records nothing") {
  CHECK(!can_record(Device::cpu));
  CHECK(!recording());
  CHECK(can_record(device_under_test()) == on_cuda());
}

TEST_CASE("graphs: work is replayed with what its places hold now") {
  if (!on_cuda())
    return;
  const Tensor given = filled({1000}, 0), result = filled({1000}, 0);
  Graph graph(device_under_test());
  int calls = 0;
  const std::string text = said([&] {
    for (int i = 1; i <= 5; ++i) {
      fill(given, i);
      graph.run([&] {
        ++calls;
        const Tensor twice = cast(cast(given, DType::f64), DType::f32);
        copy_into(result, given);
        add_into(result, twice);
      });
      CHECK(to_doubles(result)[999] == 2 * i);
    }
  });
  CHECK(text == "");
  CHECK(graph.recorded());
  CHECK(calls == 2);
}

TEST_CASE("graphs: what cannot be recorded goes on launch by launch, and that is said once") {
  if (!on_cuda())
    return;
  const Tensor x = filled({3}, 1);
  Tensor kept;
  int runs = 0;
  struct Wrong {
    std::function<void()> work;
    std::string why;
    int calls;  // for four runs: recording may call it once more
  };
  const Wrong all[] = {
      {[&] { x.to_vector<float>(); }, "copy: 12 bytes go to the host while launches are recorded",
       5},
      {[&] {
         Tensor::of({2}, std::vector<float>{1, 2}, x.device());
       },
       "copy: 8 bytes go from the host while launches are recorded", 5},
      {[&] { kept = cast(x, DType::f64); }, "graph: 1 tensors that the work made are still in use",
       4},
      {[&] { cast(filled({++runs * 1000}, 1), DType::f64); }, "bytes more than the last time", 5}};
  for (const Wrong& wrong : all) {
    CAPTURE(wrong.why);
    Graph graph(device_under_test());
    int calls = 0;
    const std::string text = said([&] {
      for (int i = 0; i < 4; ++i)
        graph.run([&] {
          ++calls;
          add_into(x, filled({}, 0));
          wrong.work();
        });
    });
    CHECK(!graph.recorded());
    CHECK(calls == wrong.calls);
    CHECK(text.starts_with("graphs: a step cannot be recorded, and goes on launch by launch: "));
    CHECK(text.find(wrong.why) != std::string::npos);
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    CHECK(!recording());
    CHECK(x.to_vector<float>() == std::vector<float>(3, 1));  // nothing ran in vain
  }
}

TEST_CASE("graphs: work that launches something else than was recorded is found out") {
  if (!on_cuda())
    return;
  const Tensor x = filled({3}, 0);
  Graph graph(device_under_test());
  bool other = false;
  const auto run = [&] {
    graph.run([&] {
      add_into(x, filled({}, 1));
      if (other)
        copy_into(x, filled({}, 1));
    });
  };
  for (std::int64_t i = 1; i <= Graph::check_every; ++i)
    run();
  CHECK(to_doubles(x)[0] == static_cast<double>(Graph::check_every));
  other = true;
  for (std::int64_t i = 1; i < Graph::check_every; ++i)
    run();
  CHECK(message(run) ==
        "graph: launch 2 is now fill, and nothing was recorded and replayed: the work depends on "
        "what the host knows. Use --graphs off.");
}

TEST_CASE("graphs: an index out of range, recorded, makes NaN and reads nothing outside") {
  if (!on_cuda())
    return;
  const Tensor table = filled({4, 5}, 1), index = tensor({3}, std::vector<std::int64_t>{0, 1, 2}),
               rows = filled({3, 5}, 0), picked = filled({3}, 0), placed = filled({3, 4}, 0),
               added = filled({4, 5}, 0);
  Graph graph(device_under_test());
  const auto run = [&] {
    graph.run([&] {
      copy_into(rows, take(table, index));
      copy_into(picked, pick(rows, index));
      copy_into(placed, place(picked, index, 4));
      copy_into(added, scatter_add(rows, index, 4));
    });
  };
  run();
  run();
  copy_into(index, tensor({3}, std::vector<std::int64_t>{0, -1, std::int64_t{1} << 40}));
  run();
  CHECK(to_doubles(rows)[0] == 1);
  for (const int i : {5, 10, 14})
    CHECK(std::isnan(to_doubles(rows)[static_cast<std::size_t>(i)]));
  CHECK(to_doubles(picked)[0] == 1);
  CHECK(std::isnan(to_doubles(picked)[1]));
  CHECK(to_doubles(placed)[0] == 1);
  CHECK(std::isnan(to_doubles(placed)[7]));
  for (const double each : to_doubles(added))
    CHECK(std::isnan(each));
}
