#include "tensor/safetensors.h"
#include "tests/zoo/tiny_run.h"

using namespace likely;

TEST_CASE("command line: help has groups, defaults of all presets and examples") {
  const Outcome train = tiny({"train", "--help"});
  CHECK(train.exit_code == 0);
  for (const char* part : {"Run:", "Model:", "Output:", "--hidden", "[quick 8, small 16, paper 32]",
                           "Examples:", "likely train tiny --preset small --data mnist",
                           "bars-4, shapes, rings, mnist"}) {
    CAPTURE(part);
    CHECK(holds(train.out, part));
  }
  for (const char* verb :
       {"resume", "sample", "evaluate", "audit", "report", "plan", "check-gradients"}) {
    CHECK(holds(tiny({"--help"}).out, verb));
    CHECK(tiny({verb, "--help"}).exit_code == 0);
  }
}

TEST_CASE("command line: unknown words are usage errors that name the nearest") {
  const auto check = [](const std::vector<std::string>& words, const std::string& message) {
    const Outcome outcome = tiny(words);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.error == "error: " + message + "\n");
    CHECK(outcome.out.empty());
  };
  check({"train", "--hiden", "3"},
        "train: there is no option --hiden. Did you mean --hidden? `tiny train --help` lists all.");
  check({"train", "--sede=3"},
        "train: there is no option --sede. Did you mean --seed? `tiny train --help` lists all.");
  check({"train", "shapes"},
        "train: \"shapes\" is one word too many. `tiny train --help` shows what it takes.");
  check({"trian"},
        "tiny: there is no verb trian. Did you mean train? There are train, resume, sample, "
        "evaluate, audit, report, export, plan, check-gradients.");
  check(
      {"train", "--preset", "smal"},
      "--preset: there is no preset \"smal\". Did you mean small? There are quick, small, paper.");
  check({"train", "--data", "bars"},
        "--data: data cannot be \"bars\". Did you mean bars-4? There are bars-4, shapes, rings, "
        "mnist.");
}

TEST_CASE("command line: a missing configuration file is bad data") {
  const Outcome outcome = tiny({"train", "--config", "/nowhere/config.toml"});
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.error ==
        "error: read: cannot read /nowhere/config.toml: No such file or directory.\n");
}

TEST_CASE("command line: --print-config prints what reruns the experiment") {
  const TemporaryFolder folder;
  const Outcome first = tiny({"train", "--hidden", "5", "--print-config"});
  CHECK(first.exit_code == 0);
  CHECK(holds(first.out, "hidden = 5\n"));
  replace_file(real_file_system(), folder / "config.toml", first.out);
  const Outcome second = tiny({"train", "--config", folder / "config.toml", "--print-config"});
  CHECK(second.out == first.out);
}

TEST_CASE("command line: train, resume, sample, evaluate and report share one folder") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const Outcome train = tiny({"train", "--out", run, "-q"});
  REQUIRE(train.exit_code == 0);
  CHECK(train.error.empty());
  CHECK(holds(train.out, "negative log-likelihood"));
  CHECK(holds(train.out, "report   " + run + "/report.html\n"));
  for (const char* file :
       {"config.toml", "environment.json", "metrics.jsonl", "evaluation.json", "report.html",
        "samples/samples-000040.png", "checkpoints/last/state.json"}) {
    CAPTURE(file);
    CHECK(std::filesystem::exists(run + "/" + file));
  }
  CHECK(tiny({"train", "--out", run}).exit_code == 1);
  CHECK(tiny({"resume", run, "-q", "--steps", "50"}).exit_code == 0);
  CHECK(tiny({"sample", run, "--count", "10", "--out", folder / "more.png"}).exit_code == 0);
  CHECK(std::filesystem::exists(folder / "more.png"));
  const Outcome path = tiny({"sample", run, "--interpolate"});
  CHECK(path.exit_code == 1);
  CHECK(tiny({"export", run}).out == run + "/pytorch.safetensors\n");
  CHECK(load_safetensors(run + "/pytorch.safetensors").at("hidden.weight").shape() == Shape{8, 4});
  CHECK(path.error ==
        "error: sample: tiny has no latents to interpolate. Leave --interpolate out.\n");

  const Outcome evaluate = tiny({"evaluate", run, "--count", "100", "--json", folder / "e.json"});
  REQUIRE(evaluate.exit_code == 0);
  const auto json = nlohmann::json::parse(read_file(folder / "e.json"));
  CHECK(json.at("model") == "tiny");
  CHECK(json.at("count") == 100);
  CHECK(json.at("baselines").size() == 4);
  CHECK(json.at("entropy_nats").get<double>() == doctest::Approx(3.37909));

  CHECK(tiny({"report", run}).exit_code == 0);
  const std::string report = read_file(run + "/report.html");
  for (const char* part : {"<svg", "data:image/png;base64,", "Baseline ladder", "Faithfulness",
                           "ours &lt;all&gt;", "hidden = 8", "prefers-color-scheme"}) {
    CAPTURE(part);
    CHECK(holds(report, part));
  }
  for (const char* part : {"<script", "http://", "https://", "src='samples"})
    CHECK_FALSE(holds(report, part));
}

TEST_CASE("command line: check-gradients prints a line an order") {
  const Outcome outcome = tiny({"check-gradients", "--directions", "2"});
  CHECK(outcome.exit_code == 0);
  CHECK(holds(outcome.out, "tiny: loss, first order: error "));
  CHECK(holds(outcome.out, "tiny: loss, second order: error "));
  CHECK(holds(outcome.out, "\n2 checks passed, 0 failed; worst error "));
  CHECK(outcome.out.ends_with(" (second order)\n"));
}

TEST_CASE("command line: plan as a table and as JSON") {
  CHECK(holds(tiny({"plan"}).out, "parameters"));
  const auto json = nlohmann::json::parse(tiny({"plan", "--json"}).out);
  CHECK(json.at("parameters") == 4 * 8 + 8 + 8 * 16 + 16);
  CHECK(json.at("flops_per_step").get<double>() > 0);
  CHECK(json.at("peak_bytes").get<std::int64_t>() > 0);
}
