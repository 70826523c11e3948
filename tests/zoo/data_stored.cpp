// CIFAR-10, omniglot and emoji: on files made here, on damaged ones, and on the real ones.
#include <cmath>
#include <cstdlib>

#include "tests/zoo/data_files.h"
#include "zoo/data/cifar.h"
#include "zoo/data/emoji.h"

using namespace likely;

namespace {

// Records whose label is row mod 10, and whose red, green and blue begin with row, 100 and 200.
Bytes cifar_records(std::int64_t count) {
  Bytes bytes;
  for (std::int64_t row = 0; row < count; ++row) {
    bytes.push_back(static_cast<std::uint8_t>(row % 10));
    Bytes pixels(3072, 7);
    pixels[0] = static_cast<std::uint8_t>(row);
    pixels[1024] = 100;
    pixels[2048] = 200;
    bytes.insert(bytes.end(), pixels.begin(), pixels.end());
  }
  return bytes;
}

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

const std::string columns = "row\tcodepoints\tcaption\tcategory\tshort_name\tsplit\n";

}  // namespace

TEST_CASE("cifar: records become interleaved images and labels, raw or gzip") {
  const TemporaryFolder folder;
  for (const std::string& file : {folder.write("raw.bin", cifar_records(12)),
                                  folder.write("raw.bin.gz", gzip(cifar_records(12)))}) {
    const LabelledImages read = read_cifar(file, 12);
    CHECK(read.images.shape() == Shape{12, 32, 32, 3});
    const std::uint8_t* const eleventh = read.images.data<std::uint8_t>() + 11 * 3072;
    CHECK(eleventh[0] == 11);
    CHECK(eleventh[1] == 100);
    CHECK(eleventh[2] == 200);
    CHECK(eleventh[3] == 7);
    CHECK(read.labels.data<std::uint8_t>()[11] == 1);
  }
}

TEST_CASE("cifar: files of another size or with other labels are refused") {
  const TemporaryFolder folder;
  const std::string file = folder.write("three.bin", cifar_records(3));
  CHECK(data_error([&] { read_cifar(file, 4); }) ==
        "cifar: " + file + " ends early: it cannot hold 4 images of 3073 bytes. Fetch it again.");
  CHECK(data_error([&] { read_cifar(file, 2); }) ==
        "cifar: " + file + " goes on after 2 images. Is it the published file?");
  const std::string packed = folder.write("three.bin.gz", gzip(cifar_records(3)));
  CHECK(data_error([&] { read_cifar(packed, 4); }) ==
        "cifar: " + packed + " ends early, inside image 3 of 4. Fetch it again.");
  Bytes wrong = cifar_records(3);
  wrong[3073] = 10;
  const std::string labels = folder.write("labels.bin", wrong);
  CHECK(data_error([&] { read_cifar(labels, 3); }) ==
        "cifar: label 1 of " + labels +
            " is 10, the classes are 0 to 9. Is it CIFAR-10 in its binary form?");
}

TEST_CASE("cifar: the last file is for test, the last images of the others for validation") {
  const TemporaryFolder folder;
  for (const DataFile& file : small_cifar_description().files)
    folder.write(file.path, cifar_records(file.shape[0]));
  const auto data = make_data_set("cifar-10-small", {.directory = folder.path()});
  CHECK(data->name() == "cifar-10-small");
  CHECK(data->image() == Shape{32, 32, 3});
  CHECK(data->levels() == 256);
  CHECK(data->size(Split::train) == 9000);
  CHECK(data->size(Split::validation) == 1000);
  CHECK(data->size(Split::test) == 4000);
  const std::vector<std::int64_t> row = {13};
  CHECK(data->batch(Split::test, row).to_vector<float>()[0] == 13 / 255.0f);
  CHECK(data->labels(Split::validation).data<std::uint8_t>()[3] == 3);
  const std::string part = folder.write("cifar-10-batches-bin/data_batch_1.bin", {1, 2, 3});
  CHECK(verify(find_data_set("cifar-10"), folder.path()).lines[0] ==
        part +
            ": sha256 039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81, its "
            "publisher gives none");
  CHECK_THROWS_WITH_AS(make_data_set("cifar-10", {.binarisation = Binarisation::sampled}),
                       "data: cifar-10 is in colour. Leave out --binarisation sampled.",
                       UsageError);
}

TEST_CASE("omniglot: drawers divide the file, and the label is the character") {
  const TemporaryFolder folder;
  Bytes pixels;
  for (int row = 0; row < 4840; ++row)
    pixels.insert(pixels.end(), 784, static_cast<std::uint8_t>(row % 20));
  folder.write("omniglot/images28-idx3-ubyte.gz", gzip(idx({4840, 28, 28}, pixels)));
  const auto data =
      make_data_set("omniglot", {.directory = folder.path(), .binarisation = Binarisation::none});
  CHECK(data->name() == "omniglot (8 alphabets), grey");
  CHECK(data->size(Split::train) == 242 * 16);
  CHECK(data->size(Split::test) == 242 * 2);
  const std::vector<std::int64_t> rows = {0, 15, 16};
  const Tensor train = data->bytes(Split::train, rows, {make_step_state({}), 1, 0});
  CHECK(train.data<std::uint8_t>()[784] == 15);
  CHECK(train.data<std::uint8_t>()[2 * 784] == 0);
  CHECK(data->labels(Split::train).data<std::uint8_t>()[16] == 1);
  CHECK(data->bytes(Split::test, rows).data<std::uint8_t>()[784] == 19);
  CHECK(data->labels(Split::test).data<std::uint8_t>()[483] == 241);
  const auto usual = make_data_set("omniglot", {.directory = folder.path()});
  CHECK(usual->name() == "omniglot (8 alphabets), sampled binarisation (seed 17)");
  CHECK(usual->levels() == 2);
  CHECK_THROWS_WITH_AS(make_data_set("omniglot", {.binarisation = Binarisation::fixed}),
                       "data: omniglot has no published fixed binarisation of these images. Use "
                       "sampled, thresholded or none.",
                       UsageError);
}

TEST_CASE("emoji: the table gives captions and splits, and is read strictly") {
  const TemporaryFolder folder;
  const auto table = [&](const std::string& text, std::int64_t count) {
    return read_emoji_table(folder.write("captions.tsv", bytes_of(text)), count);
  };
  const std::string file = folder / "captions.tsv";
  const std::string first = "0\t1f600\tgrinning face\tSmileys\tgrinning\ttrain\n",
                    second = "1\t1f602\tface with tears\tSmileys\tjoy\ttest\n";
  const EmojiTable good = table(columns + first + second, 2);
  CHECK(good.captions == std::vector<std::string>{"grinning face", "face with tears"});
  CHECK(good.splits == std::vector<Split>{Split::train, Split::test});
  CHECK(data_error([&] { table("row\tcaption\n", 0); }) ==
        "emoji: " + file +
            " does not begin with the columns row, codepoints, caption, category, short_name, "
            "split. Fetch it again.");
  CHECK(data_error([&] { table(columns + second, 1); }) ==
        "emoji: line 2 of " + file + " is not row 0 with 6 columns. Fetch it again.");
  CHECK(data_error([&] { table(columns + "0\ta\tb\tc\td\tproof\n", 1); }) ==
        "emoji: line 2 of " + file +
            " is of the split \"proof\": there are train, validation, test. Fetch it again.");
  CHECK(data_error([&] { table(columns + first, 2); }) ==
        "emoji: " + file + " has 1 rows, there are 2 images. Fetch it again.");
  CHECK(data_error([&] { table(std::string(1 << 20, 'x'), 2); }) ==
        "emoji: " + file + " is longer than 1048576 bytes. Fetch it again.");
}

TEST_CASE("stored sets: on meta they have the same sizes, without files") {
  for (const char* name : {"cifar-10", "cifar-10-small", "omniglot", "emoji", "emoji-64"}) {
    CAPTURE(name);
    const auto data = make_data_set(name, {.directory = "nowhere", .device = {Device::meta}});
    CHECK(data->batch(Split::train, rows_up_to(3)).shape() == data->image().inserted(0, 3));
    CHECK(data->size(Split::test) > 0);
  }
}

TEST_CASE("real data: cifar-10-small, omniglot and emoji as published") {
  const char* const directory = real_data();
  if (!directory)
    return;
  for (const char* name : {"cifar-10-small", "omniglot", "emoji", "emoji-64"}) {
    CHECK_MESSAGE(verify(find_data_set(name), directory).holds, name);
    const auto data = make_data_set(name, {.directory = directory});
    const auto planned = make_data_set(name, {.device = {Device::meta}});
    for (const Split split : {Split::train, Split::validation, Split::test})
      CHECK(data->size(split) == planned->size(split));
  }
  const auto emoji = make_data_set("emoji", {.directory = directory});
  CHECK(emoji->name() == "emoji, 32x32 on white");
  const std::vector<std::int64_t> first = {0};
  CHECK(emoji->captions(Split::train, first, {make_step_state({}), 1, 0}).front() ==
        "grinning face");
}
