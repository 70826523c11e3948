// MNIST and its kin: splits and binarisations on files made here, known facts on the real ones.
#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "tensor/allocator.h"
#include "tensor/nearest.h"
#include "tests/memory.h"
#include "tests/zoo/data_files.h"
#include "zoo/data/baselines.h"
#include "zoo/data/mnist.h"

using namespace likely;

namespace {

// Every pixel of image i has the value i mod 256.
Bytes flat_images(std::uint32_t count, int modulus) {
  Bytes values(std::size_t{count} * 784);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint8_t>(i / 784 % static_cast<std::size_t>(modulus));
  return gzip(idx({count, 28, 28}, values));
}

Bytes flat_labels(std::uint32_t count) {
  Bytes values(count);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint8_t>(i % 10);
  return idx({count}, values);
}

void write_mnist(const TemporaryFolder& folder, const std::string& name) {
  folder.write(name + "/train-images-idx3-ubyte.gz", flat_images(60000, 256));
  folder.write(name + "/train-labels-idx1-ubyte", flat_labels(60000));
  folder.write(name + "/t10k-images-idx3-ubyte.gz", flat_images(10000, 256));
  folder.write(name + "/t10k-labels-idx1-ubyte", flat_labels(10000));
}

double mean_of(const Tensor& images) {
  const auto values = images.to_vector<float>();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("mnist: splits, labels and binarisations of files made here") {
  const TemporaryFolder folder;
  write_mnist(folder, "mnist");
  const auto data = make_data_set("mnist", {.directory = folder.path()});
  CHECK(data->name() == "mnist, sampled binarisation (seed 17)");
  CHECK(data->split_name(Split::test) == "test");
  CHECK(data->size(Split::train) == 50000);
  CHECK(data->size(Split::validation) == 10000);
  CHECK(data->size(Split::test) == 10000);
  CHECK(data->labels(Split::validation).data<std::uint8_t>()[7] == 7);
  CHECK_FALSE(data->entropy().has_value());

  // Row 64 has the value 64 everywhere; validation row 0 is row 50000 of the file: 50000 mod 256.
  const std::vector<std::int64_t> repeated(200, 64), first(200, 0), white = {255};
  const double four_deviations = 4 * std::sqrt(0.25 / 784);
  const std::vector<std::int64_t> row = {64};
  CHECK(std::abs(mean_of(data->batch(Split::train, row, draw_of(1, 0))) - 64 / 255.0) <
        four_deviations);
  CHECK(std::abs(mean_of(data->batch(Split::validation, row)) - (50000 + 64) % 256 / 255.0) <
        four_deviations);
  CHECK(mean_of(data->batch(Split::train, white, draw_of(1, 0))) == 1);
  const auto once = data->batch(Split::train, row, draw_of(1, 0)).to_vector<float>();
  CHECK(once == data->batch(Split::train, row, draw_of(1, 0)).to_vector<float>());
  CHECK(once != data->batch(Split::train, row, draw_of(1, 1)).to_vector<float>());
  CHECK(data->bytes(Split::test, row).to_vector<std::uint8_t>() ==
        data->bytes(Split::test, row, draw_of(1, 1)).to_vector<std::uint8_t>());

  const auto sharp = make_data_set(
      "mnist", {.directory = folder.path(), .binarisation = Binarisation::thresholded});
  CHECK(sharp->name() == "mnist, thresholded binarisation");
  const std::vector<std::int64_t> edge = {126, 127, 128, 129};
  const Tensor images = sharp->batch(Split::train, edge, draw_of(1, 0));
  for (std::int64_t i = 0; i < 4; ++i)
    CHECK(mean_of(images.slice(0, i, i + 1)) == (i < 2 ? 0 : 1));

  const auto grey =
      make_data_set("mnist", {.directory = folder.path(), .binarisation = Binarisation::none});
  CHECK(grey->name() == "mnist, grey");
  CHECK(grey->levels() == 256);
  CHECK(sharp->levels() == 2);
  CHECK(grey->batch(Split::train, row, draw_of(1, 0)).to_vector<float>() ==
        std::vector<float>(784, 64 / 255.0f));
  CHECK(grey->bytes(Split::test, row).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>(784, 64));
}

TEST_CASE("mnist: the published binarised test images are used where they are present") {
  const TemporaryFolder folder;
  write_mnist(folder, "mnist");
  folder.write("binarized-mnist/binarized_mnist_test-images-idx3-ubyte.gz", flat_images(10000, 2));
  const auto data = make_data_set("mnist", {.directory = folder.path()});
  CHECK(data->split_name(Split::test) == "binarized-mnist test");
  CHECK_FALSE(data->labels(Split::test).defined());
  const std::vector<std::int64_t> rows = {4, 5};
  const Tensor images = data->batch(Split::test, rows);
  CHECK(mean_of(images.slice(0, 0, 1)) == 0);
  CHECK(mean_of(images.slice(0, 1, 2)) == 1);
}

TEST_CASE("mnist: fixed binarisation is the published one, all black and white") {
  const TemporaryFolder folder;
  for (const auto& [split, count] :
       {std::pair{"train", 50000u}, {"valid", 10000u}, {"test", 10000u}})
    folder.write(fmt::format("binarized-mnist/binarized_mnist_{}-images-idx3-ubyte", split),
                 idx({count, 28, 28}, Bytes(count * std::size_t{784}, count == 50000)));
  const auto data =
      make_data_set("mnist", {.directory = folder.path(), .binarisation = Binarisation::fixed});
  CHECK(data->name() == "binarized-mnist, fixed binarisation");
  CHECK(data->size(Split::train) == 50000);
  const std::vector<std::int64_t> rows = {0, 9999};
  CHECK(mean_of(data->batch(Split::train, rows, draw_of(1, 0))) == 1);
  CHECK(mean_of(data->batch(Split::test, rows)) == 0);
}

TEST_CASE("mnist: on meta the same bytes are allocated and no file is read") {
  const TemporaryFolder folder;
  write_mnist(folder, "mnist");
  const auto allocated = [&](const DataOptions& options) {
    Allocator& allocator = allocator_of(options.device);
    const std::size_t before = allocator.counters().in_use;
    const auto data = make_data_set("mnist", options);
    return allocator.counters().in_use - before;
  };
  CHECK(allocated({.directory = folder.path()}) ==
        allocated({.directory = "nowhere", .device = {Device::meta}}));
}

TEST_CASE("mnist: missing files are listed with their places and origin") {
  CHECK(
      data_error([] { make_data_set("mnist", {.directory = "nowhere"}); }) ==
      "data: mnist needs mnist/train-images-idx3-ubyte.gz, which is not in nowhere. Put its files "
      "there, or name another folder with --data-dir or LIKELY_DATA. It is read from\n"
      "  nowhere/mnist/train-images-idx3-ubyte.gz\n"
      "  nowhere/mnist/train-labels-idx1-ubyte.gz\n"
      "  nowhere/mnist/t10k-images-idx3-ubyte.gz\n"
      "  nowhere/mnist/t10k-labels-idx1-ubyte.gz\n"
      "(or the same without .gz), from LeCun, Cortes & Burges, http://yann.lecun.com/exdb/mnist, "
      "CC BY-SA 3.0");
}

TEST_CASE("mnist: files of another size and grey pixels in a binary set are refused") {
  const TemporaryFolder folder;
  const std::string images = folder.write("mnist/train-images-idx3-ubyte", idx({1, 1, 1}, {0}));
  folder.write("mnist/train-labels-idx1-ubyte", idx({1}, {0}));
  CHECK(data_error([&] { make_data_set("mnist", {.directory = folder.path()}); }) ==
        "data: " + images +
            " has the shape [1, 1, 1], that file of mnist has [60000, 28, 28]. Fetch the published "
            "file.");
  const std::string binary = folder.write(
      "binarized-mnist/binarized_mnist_train-images-idx3-ubyte.gz", flat_images(50000, 3));
  CHECK(data_error([&] { make_data_set("binarized-mnist", {.directory = folder.path()}); }) ==
        "data: " + binary +
            " holds the value 2 in image 2: the pixels of binarized-mnist are 0 or 1. Fetch the "
            "published file.");
}

TEST_CASE(
    "mnist: a small gzip file that declares gigabytes, or a FIFO, costs neither memory nor time") {
  const Deadline soon;
  const TemporaryFolder folder;
  const std::string name = "mnist/train-images-idx3-ubyte";
  Bytes bytes = idx({1'200'000, 28, 28}, Bytes(1 << 20));
  bytes = gzip(bytes);
  bytes.resize(1 << 20);  // as long as a file of so many zeros is
  const std::string path = folder.write(name + ".gz", bytes);
  folder.write("mnist/train-labels-idx1-ubyte", flat_labels(60000));
  DataOptions options;
  options.directory = folder.path();
  const auto error = [&] { return data_error([&] { make_data_set("mnist", options); }); };
  CHECK(error() == "data: " + path +
                       " has the shape [1200000, 28, 28], that file of mnist has [60000, 28, 28]. "
                       "Fetch the published file.");
  if (!std::getenv("LIKELY_TEST_SMALL"))
    CHECK(peak_growth(error) < 20);
  std::filesystem::remove(path);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK(error() == "read: cannot read " + path + ": it is a FIFO. Put a regular file there.");
}

TEST_CASE("data: names and binarisations that do not exist name the nearest") {
  std::vector<std::string> names;
  for (const DataSetDescription& set : data_sets())
    names.push_back(set.name);
  CHECK_THROWS_WITH_AS(
      find_data_set("mnits"),
      ("data: there is no data set 'mnits'. Did you mean 'mnist'? There are " + joined(names) + ".")
          .c_str(),
      UsageError);
  CHECK_THROWS_WITH_AS(binarisation_of("treshold"),
                       "data: there is no binarisation 'treshold'. Did you mean 'thresholded'? "
                       "There are sampled, thresholded, fixed, none.",
                       UsageError);
  CHECK_THROWS_WITH_AS(make_data_set("fashion-mnist", {.binarisation = Binarisation::fixed}),
                       "data: fashion-mnist has no published fixed binarisation. Use sampled, "
                       "thresholded or none.",
                       UsageError);
  CHECK_THROWS_WITH_AS(make_data_set("binarized-mnist", {.binarisation = Binarisation::sampled}),
                       "data: binarized-mnist is one fixed draw. Use --data mnist for "
                       "--binarisation sampled.",
                       UsageError);
}

TEST_CASE(
    "data: the list states each set, the entropy of the generated ones, and what is missing") {
  const std::string text = list_data_sets("nowhere");
  for (const DataSetDescription& set : data_sets()) {
    CHECK(text.find(set.name + " ") != std::string::npos);
    if (set.files.empty() && set.name != "shapes" && !set.own)
      CHECK(set.summary.find(fmt::format("{:.5f}", set.make({})->entropy().value())) !=
            std::string::npos);
  }
  CHECK(text.find("mnist            missing") != std::string::npos);
  CHECK(text.find("shapes           generated") != std::string::npos);
}

TEST_CASE("data: verify tells damaged, missing and foreign files from published ones") {
  const TemporaryFolder folder;
  const std::string foreign = folder.write("mnist/train-images-idx3-ubyte", {1, 2, 3});
  const std::string damaged = folder.write("mnist/t10k-labels-idx1-ubyte.gz", {0x1f, 0x8b, 8, 0});
  const Verification found = verify(find_data_set("mnist"), folder.path());
  CHECK_FALSE(found.holds);
  REQUIRE(found.lines.size() == 4);
  CHECK(
      found.lines[0] ==
      foreign +
          ": content has sha256 039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81, "
          "as published ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db");
  CHECK(found.lines[1] == folder / "mnist/train-labels-idx1-ubyte.gz: missing");
  CHECK(found.lines[3] ==
        "gzip: " + damaged + " ends inside its compressed data, after 4 bytes. Fetch it again.");
  CHECK(verify(find_data_set("shapes"), folder.path()).holds);
}

TEST_CASE("real data: files as published, first labels, mean pixels") {
  const char* const directory = real_data();
  if (!directory)
    return;
  for (const char* const name : {"mnist", "fashion-mnist", "binarized-mnist"})
    CHECK_MESSAGE(verify(find_data_set(name), directory).holds, name);
  const auto digits =
      make_data_set("mnist", {.directory = directory, .binarisation = Binarisation::thresholded});
  CHECK(digits->labels(Split::test).data<std::uint8_t>()[0] == 7);
  CHECK(digits->labels(Split::train).data<std::uint8_t>()[0] == 5);
  const auto sampled = make_data_set("mnist", {.directory = directory});
  CHECK(sampled->split_name(Split::test) == "binarized-mnist test");
  // The mean grey value of the 60,000 training images is 0.1307.
  CHECK(mean_of(sampled->batch(Split::train, rows_up_to(5000), draw_of(1, 0))) ==
        doctest::Approx(0.1307).epsilon(0.02));
  CHECK(mean_of(sampled->batch(Split::test, rows_up_to(10000))) ==
        doctest::Approx(0.1325).epsilon(0.01));
  const auto clothes = make_data_set("fashion-mnist", {.directory = directory});
  CHECK(clothes->labels(Split::test).data<std::uint8_t>()[0] == 9);  // an ankle boot
}

TEST_CASE("real data: the ladder of sampled mnist is the known one") {
  const char* const directory = real_data();
  if (!directory)
    return;
  const auto ladder = baseline_ladder(*make_data_set("mnist", {.directory = directory}));
  REQUIRE(ladder.size() == 4);
  CHECK(ladder[0].nats == doctest::Approx(543.43).epsilon(1e-5));
  CHECK(ladder[1].nats == doctest::Approx(205.8).epsilon(0.01));
  CHECK(ladder[2].nats == doctest::Approx(100.6).epsilon(0.01));
}
