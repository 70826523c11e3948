#include <doctest/doctest.h>

#include "tests/zoo/tiny_model.h"
#include "zoo/run/configuration.h"

using namespace likely;

namespace {

Configuration resolved(const GivenSettings& file, const GivenSettings& command_line) {
  return resolve(tiny_description(), file, command_line);
}

}  // namespace

TEST_CASE("configuration: command line over file over preset") {
  const GivenSettings file{{"preset", {"small", "f line 1"}}, {"rate", {"0.5", "f line 2"}}};
  const GivenSettings line{{"rate", {"0.25", "--rate"}}};
  CHECK(resolved({}, {}).settings.integer("hidden") == 8);
  CHECK(resolved(file, {}).settings.integer("hidden") == 16);
  CHECK(resolved(file, {}).settings.number("rate") == 0.5);
  CHECK(resolved(file, line).settings.number("rate") == 0.25);
  CHECK(resolved(file, line).settings.text("schedule") == "linear");
}

TEST_CASE("configuration: the model's changes for a data set come before file and command line") {
  ModelDescription description = tiny_description();
  description.for_data = [](Settings& settings, Preset preset, const std::string& data) {
    if (preset == Preset::quick && data == "shapes")
      settings.set("hidden", std::int64_t{99});
  };
  const GivenSettings shapes{{"data", {"shapes", "--data"}}};
  CHECK(resolve(description, {}, {}).settings.integer("hidden") == 8);
  CHECK(resolve(description, {}, shapes).settings.integer("hidden") == 99);
  GivenSettings both = shapes;
  both["hidden"] = {"5", "--hidden"};
  CHECK(resolve(description, {}, both).settings.integer("hidden") == 5);
}

TEST_CASE("configuration: config.toml reads back as the same run") {
  const GivenSettings odd{{"rate", {"1e-3", "--rate"}},
                          {"seed", {"7", "--seed"}},
                          {"data-dir", {"a \"b\" # \\ é\tc", "--data-dir"}}};
  const Configuration first = resolved({}, odd);
  const Configuration second = resolved(read_toml(first.to_toml(), "config.toml"), {});
  CHECK(second.to_toml() == first.to_toml());
  CHECK(second.settings.text("data-dir") == "a \"b\" # \\ é\tc");
  CHECK(second.hash() == first.hash());
}

TEST_CASE("configuration: the hash ignores what changes no bit of a step") {
  const auto hash = [](const char* name, const char* value) {
    return resolved({}, {{name, {value, "--"}}}).hash();
  };
  const std::string plain = resolved({}, {}).hash();
  CHECK(hash("threads", "3") == plain);
  CHECK(hash("steps", "41") == plain);
  CHECK(hash("save-every", "3") == plain);
  CHECK(hash("rate", "0.02") != plain);
  CHECK(hash("seed", "2") != plain);
  CHECK(hash("data", "shapes") != plain);
}

TEST_CASE("configuration: what is wrong, where, and what was meant") {
  const auto usage = [](const char* name, const char* value) {
    return message_of<UsageError>([&] {
      resolved({}, {{name, {value, fmt::format("--{}", name)}}});
    });
  };
  CHECK(
      usage("preset", "quik") ==
      "--preset: there is no preset \"quik\". Did you mean quick? There are quick, small, paper.");
  CHECK(usage("data", "shape") ==
        "--data: data cannot be \"shape\". Did you mean shapes? There are bars-4, shapes, rings, "
        "mnist.");
  CHECK(usage("hidden", "many") == "--hidden: \"many\" is no whole number. Use 1 to 65536.");
  CHECK(usage("hidden", "0") == "--hidden: 0 is below 1. Use 1 to 65536.");
  CHECK(usage("rate", "nan") == "--rate: \"nan\" is no number. Use 0 to 1000000.");
  CHECK(usage("hiden", "8") == "--hiden: there is no setting \"hiden\". Did you mean hidden?");
  CHECK(usage("model", "vae") == "--model: this configuration is for vae, not for tiny.");
}

TEST_CASE("configuration: a file that is none names its line") {
  const auto data = [](const std::string& text) {
    return message_of<DataError>([&] { read_toml(text, "f"); });
  };
  CHECK(data("rate\n") == "f line 1: after the name rate comes `=` and a value.");
  CHECK(data("\n= 3") == "f line 2: a setting begins with its name, such as `rate = 0.001`.");
  CHECK(data("rate =  # none") == "f line 1: the value is missing.");
  CHECK(data("rate = 1 2") == "f line 1: one value a line; \"2\" is left over.");
  CHECK(data("rate = [1, 2]") ==
        "f line 1: \"[1,\" is no number or word. Quote texts; lists and tables have no meaning "
        "here.");
  CHECK(data("data = \"bars") == "f line 1: the text does not end with \".");
  CHECK(data("data = \"\\q\"") ==
        "f line 1: unknown escape in a text. Use \\\" \\\\ \\n \\t or single quotes.");
  CHECK(data("[run]") == "f line 1: a setting begins with its name, such as `rate = 0.001`.");
  CHECK(data("rate = 1\nrate = 2") == "f line 2: rate stands twice.");
  CHECK(data(std::string("a\0b = 1", 7)) == "f line 1: after the name a comes `=` and a value.");
}

TEST_CASE("configuration: files of any system and editor read the same") {
  const GivenSettings given = read_toml("rate = 0.5\ndata = \"bars\"\n", "f");
  for (const char* text :
       {"rate = 0.5\r\ndata = \"bars\"\r\n", "rate = 0.5\rdata = \"bars\"\r",
        "\xef\xbb\xbfrate = 0.5\ndata = \"bars\"", "\t rate\t=0.5 # é\r\n data ='bars'\t"}) {
    const GivenSettings other = read_toml(text, "f");
    REQUIRE(other.size() == 2);
    for (const auto& [name, value] : given) {
      CHECK(other.at(name).value == value.value);
      CHECK(other.at(name).from == value.from);
    }
  }
  CHECK(read_toml("\r\n\rrate = 1", "f").at("rate").from == "f line 3");
}

TEST_CASE("configuration: no bytes crash the reader of files") {
  std::uint64_t state = 1;
  const std::string alphabet = "a=\"'\\#[]{}u0 \t\n\r-.1e\x80\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += alphabet[(state >> 40) % alphabet.size()];
    }
    try {
      read_toml(text, "f");
    } catch (const DataError&) {
    }
  }
}
