#include "tests/zoo/tiny_run.h"
#include "zoo/run/front_door.h"

using namespace likely;

namespace {

namespace fs = std::filesystem;

}  // namespace

TEST_CASE("front door: whatever a configuration is given as, the one reader finds it") {
  const TemporaryFolder folder;
  const std::string file = folder / "settings", run = folder / "run";
  fs::create_directory(run);
  const auto check = [&](const std::string& text, const std::string& lines) {
    CAPTURE(text);
    write_file(file, text);
    write_file(run + "/config.toml", text);
    CHECK(about({"--config", file}) == lines);
    CHECK(about({"--seed", "3", "--config=" + file, "--help"}) == lines);
    CHECK(about({"-q", run}) == lines);
    CHECK(about({run + "/"}) == lines);
  };
  const std::string both = "model vae\ndevice cuda\n";
  check("model = \"vae\"\ndevice = \"cuda\"\n", both);
  check("model='vae'\ndevice='cuda'", both);
  check("\tmodel\t=\t\"vae\"\t# of nothing\n   device   =   \"cuda\"", both);
  check("\xef\xbb\xbfmodel = \"vae\"\ndevice = \"cuda\"\n", both);
  check("model = \"vae\"\r\n\r\ndevice = \"cuda\"\r\n", both);
  check("model = \"vae\"\rdevice = \"cuda\"\r", both);
  check("device = \"cuda\"\n", "device cuda\n");
  check("# model = \"vae\"\n", "");
  check("model = \"a\\nb\"", "model a\\x0ab\n");
  write_file(file, "model = \"vae\"\ndevice = \"cuda\"\n");
  CHECK(about({"--device", "cpu", "--config", file}) == "model vae\ndevice cpu\n");
  CHECK(about({"--config", file, "--device=cpu"}) == "model vae\ndevice cpu\n");
  CHECK(about({"--device=cuda"}) == "device cuda\n");
  CHECK(about({}) == "");
  CHECK(about({"--config"}) == "");
  CHECK(about({folder.path(), "runs/none"}) == "");
  write_file(file, "model \"vae\"\n");
  CHECK(message_of<DataError>([&] {
          about({"--config", file});
        }) == file + " line 1: after the name model comes `=` and a value.");
  CHECK(message_of<DataError>([&] {
          about({"--config", folder / "none"});
        }) == "read: cannot read " + folder / "none" + ": No such file or directory.");
}

TEST_CASE("front door: a preset next to a configuration file says what wins") {
  const TemporaryFolder folder;
  const auto printed = [&](const std::string& text) {
    write_file(folder / "f", text);
    return outcome_of(tiny_description(),
                      {"train", "--print-config", "--preset", "small", "--config", folder / "f"});
  };
  const Outcome some = printed("rate = 0.5\nhidden = 3\n");
  CHECK(holds(some.out, "hidden = 3\n"));
  CHECK(holds(some.out, "rate = 0.5\n"));
  CHECK(holds(some.out, "steps = 80\n"));  // small's
  CHECK(some.error == "--preset small: the settings in " + folder / "f" +
                          " win over the preset's, which decides only eval-every, sample-every, "
                          "save-every, steps, schedule.\n");
  const std::string all = outcome_of(tiny_description(), {"train", "--print-config"}).out;
  const Outcome whole = printed(all);
  CHECK(holds(whole.out, "steps = 40\n"));
  CHECK(whole.error == "--preset small: the settings in " + folder / "f" +
                           " win over the preset's, which decides nothing here.\n");
  CHECK(outcome_of(tiny_description(), {"train", "--print-config", "--config", folder / "f"})
            .error.empty());
  CHECK(outcome_of(tiny_description(), {"train", "--print-config", "--preset", "small"})
            .error.empty());
}
