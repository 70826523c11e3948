#include "zoo/run/report.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tensor/json.h"
#include "zoo/run/chart.h"
#include "zoo/run/metrics.h"

namespace likely {
namespace {

using Json = nlohmann::ordered_json;

const char* const style = R"(<style>
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#0b0b0b;--soft:#52514e;--rule:#e1e0d9;--one:#2a78d6;
--two:#eb6834;--bar:#c3c2b7}
@media(prefers-color-scheme:dark){:root{--page:#1a1a19;--ink:#fff;--soft:#c3c2b7;--rule:#383835;
--one:#3987e5;--two:#d95926;--bar:#52514e}}
body{background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:760px;
margin:2.5rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p.soft,figcaption{color:var(--soft);margin:.2rem 0 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--soft);font-weight:500}
.figures{display:flex;flex-wrap:wrap;gap:1.2rem 2.4rem;margin:1.4rem 0}
.figures b{display:block;font-size:1.5rem;font-weight:600}.figures span{color:var(--soft)}
.pictures{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}
img{image-rendering:pixelated;max-width:100%;width:345px;border:1px solid var(--rule)}
pre{overflow-x:auto;background:color-mix(in srgb,var(--rule) 35%,transparent);padding:.8rem;font-size:13px}
svg{width:100%;height:auto;overflow:visible}svg text{font:12px system-ui,sans-serif}
.label{fill:var(--ink)}.tick{fill:var(--soft)}.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
.level{stroke:var(--soft);stroke-dasharray:5 4}.curve{fill:none;stroke-width:2;stroke-linejoin:round}
.line1{stroke:var(--one)}.line2{stroke:var(--two)}.mark1{fill:var(--one)}.mark2{fill:var(--two)}
.bar{fill:var(--bar)}details summary{cursor:pointer}
</style>
)";

std::string base64(const std::string& bytes) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j)
      word = word << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += i + j > bytes.size() ? '=' : letters[word >> (18 - 6 * j) & 63];
  }
  return text;
}

constexpr std::int64_t largest_picture = 1 << 25;

Json json_file(const std::string& path) {
  return std::filesystem::exists(path) ? parse_json(read_file(path), "report: " + path) : Json();
}

// What stands at a key; null where nothing does, as for a number that was not finite.
Json value_at(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

// And where it is of the kind that is looked for.
std::optional<double> number_at(const Json& object, const char* key) {
  const Json value = value_at(object, key);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

std::string text_at(const Json& object, const char* key) {
  const Json value = value_at(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

Json list_at(const Json& object, const char* key) {
  const Json value = value_at(object, key);
  return value.is_array() ? value : Json::array();
}

Json object_at(const Json& object, const char* key) {
  const Json value = value_at(object, key);
  return value.is_object() ? value : Json::object();
}

std::string figure(const std::string& value, const std::string& what) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>", escaped(value), escaped(what));
}

std::string key_figures(const Json& evaluation, std::int64_t steps) {
  std::string html = "<div class='figures'>" + figure(fmt::format("{}", steps), "steps");
  if (const auto nats = number_at(evaluation, "negative_log_likelihood_nats"))
    html += figure(
        fmt::format("{:.2f}", *nats),
        fmt::format("nats/image, {}", text_at(evaluation, "kind") == "exact"
                                          ? "exact"
                                          : "upper bound (" + text_at(evaluation, "method") + ")"));
  if (const auto entropy = number_at(evaluation, "entropy_nats"))
    html += figure(fmt::format("{:.2f}", *entropy), "nats/image, entropy of the data");
  if (const auto gap = number_at(evaluation, "gap_nats"))
    html += figure(fmt::format("{:.2f}", *gap), "nats/image, gap (paired)");
  if (const auto parameters = number_at(evaluation, "parameters"))
    html += figure(fmt::format("{:.0f}", *parameters), "parameters");
  return html + "</div>\n";
}

// A chart of each number that the model recorded, with "held_out_<name>" beside it; the losses of
// several networks share one.
std::string recorded(const MetricsHistory& metrics) {
  const std::set<std::string> own{"step", "loss", "rate", "gradient_norm"};
  std::vector<Curve> losses;
  std::string html;
  for (const auto& [name, points] : metrics.all) {
    if (own.contains(name) || name.starts_with("held_out_"))
      continue;
    const bool few = 4 * points.size() < metrics.loss.size();  // measured now and then
    const Curve curve{name, thinned(points, 300), few};
    if (name.ends_with("_loss")) {
      losses.push_back(curve);
      continue;
    }
    std::vector<Curve> shown{curve};
    if (const auto held_out = metrics.all.find("held_out_" + name); held_out != metrics.all.end())
      shown.push_back({"held_out_" + name, held_out->second, true});
    html += fmt::format("<h2>{}</h2>\n{}\n", escaped(name), line_chart(shown, {}, "step", name));
  }
  if (!losses.empty())
    html = "<h2>Losses</h2>\n" + line_chart(losses, {}, "step", "loss") + "\n" + html;
  return html;
}

std::string curves(const MetricsHistory& metrics, const Json& evaluation) {
  if (metrics.loss.empty())
    return "";
  if (metrics.held_out.empty())
    return recorded(metrics);
  const Curve training{"training loss", thinned(metrics.loss, 300)};
  const Curve held_out{"held-out images", metrics.held_out, true};
  std::vector<Curve> shown{training};
  if (!held_out.points.empty())
    shown.push_back(held_out);
  std::vector<Level> levels;
  if (const auto entropy = number_at(evaluation, "entropy_nats"))
    levels.push_back({fmt::format("entropy {:.2f}", *entropy), *entropy});
  return "<h2>Negative log-likelihood bound while training</h2>\n" +
         line_chart(shown, levels, "step", "nats/image") + "\n";
}

std::string ladder(const Json& evaluation) {
  const auto nats = number_at(evaluation, "negative_log_likelihood_nats");
  const Json baselines = list_at(evaluation, "baselines");
  if (!nats || baselines.empty())
    return "";
  std::vector<Bar> bars{{text_at(evaluation, "model"), *nats, true}};
  for (const Json& baseline : baselines)
    if (const auto value = number_at(baseline, "nats"))
      bars.push_back({text_at(baseline, "name"), *value});
  std::stable_sort(bars.begin(), bars.end(),
                   [](const Bar& a, const Bar& b) { return a.value > b.value; });
  std::vector<Level> levels;
  if (const auto entropy = number_at(evaluation, "entropy_nats"))
    levels.push_back({"entropy", *entropy});
  return "<h2>Baseline ladder, nats/image on the test images</h2>\n" +
         bar_chart(bars, levels, "nats/image") + "\n";
}

std::string terms(const Json& evaluation) {
  const Json all = object_at(evaluation, "terms");
  if (all.empty())
    return "";
  std::string table, charts;
  for (const auto& [name, value] : all.items()) {
    if (value.is_number())
      table +=
          fmt::format("<tr><th>{}</th><td>{:.5g}</td></tr>", escaped(name), value.get<double>());
    if (!value.is_array())
      continue;
    std::vector<Bar> bars;
    for (std::size_t i = 0; i < value.size(); ++i)
      if (value[i].is_number())
        bars.push_back({fmt::format("{}", i + 1), value[i].get<double>()});
    if (bars.empty())
      continue;
    charts += fmt::format("<details><summary>{}</summary>{}</details>", escaped(name),
                          bar_chart(bars, {}, name));
  }
  return "<h2>Terms of the bound</h2>\n<table>" + table + "</table>\n" + charts + "\n";
}

std::string sweep(const Json& evaluation) {
  const Json rungs = list_at(evaluation, "sweep");
  if (rungs.size() < 2)
    return "";
  std::string html =
      "<h2>The bound by importance "
      "samples</h2>\n<table><tr><th>samples</th><th>nats/image</th></tr>";
  for (const Json& rung : rungs) {
    const auto nats = number_at(rung, "negative_log_likelihood_nats"),
               error = number_at(rung, "standard_error_nats");
    html += fmt::format("<tr><td>{:.0f}</td><td>{}{}</td></tr>",
                        number_at(rung, "importance_samples").value_or(0),
                        nats ? fmt::format("{:.3f}", *nats) : "none",
                        error ? fmt::format(" ± {:.3f}", *error) : "");
  }
  return html + "</table>\n";
}

// Figures of samples beside those of real data and of the untrained model.
std::string judgement(const Json& evaluation) {
  if (!evaluation.is_object() || !evaluation.contains("real"))
    return "";
  const std::vector<std::pair<const char*, Json>> columns = {
      {"samples", evaluation},
      {"real data", object_at(evaluation, "real")},
      {"untrained", object_at(evaluation, "untrained")}};
  const auto judged = number_at(evaluation, "judged");
  std::string html = fmt::format("<h2>{:.0f} samples judged</h2>\n<table><tr><th></th>",
                                 judged ? *judged : number_at(evaluation, "count").value_or(0));
  for (const auto& [name, figures] : columns)
    html += fmt::format("<th>{}</th>", name);
  html += "</tr>";
  for (const auto& [key, value] : columns[1].second.items()) {
    std::string words = key;
    std::replace(words.begin(), words.end(), '_', ' ');
    html += fmt::format("<tr><th>{}</th>", escaped(words));
    for (const auto& [name, figures] : columns) {
      const auto number = number_at(figures, key.c_str());
      html += number ? fmt::format("<td>{:.4g}</td>", *number) : "<td></td>";
    }
    html += "</tr>";
  }
  return html + "</table>\n";
}

std::string pictures(const RunDirectory& run) {
  std::vector<std::string> files;
  if (std::filesystem::is_directory(run.samples()))
    for (const auto& entry : std::filesystem::directory_iterator(run.samples()))
      if (entry.path().extension() == ".png")
        files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  std::string html;
  for (const auto& [kind, title] :
       {std::pair("samples", "Samples"),
        std::pair("reconstructions", "Test images, each above its reconstruction")}) {
    std::vector<std::string> of_kind;
    for (const std::string& file : files)
      if (std::filesystem::path(file).filename().string().starts_with(kind))
        of_kind.push_back(file);
    if (of_kind.empty())
      continue;
    std::vector<std::string> shown{of_kind.front(), of_kind.back()};
    shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
    html += fmt::format("<h2>{}</h2>\n<div class='pictures'>", title);
    for (const std::string& file : shown)
      html += fmt::format(
          "<figure><img alt='{0}' src='data:image/png;base64,{1}'><figcaption>{0}</figcaption>"
          "</figure>",
          escaped(std::filesystem::path(file).stem().string()),
          base64(read_file(file, largest_picture)));
    html += "</div>\n";
  }
  return html;
}

std::string faithfulness(const ModelDescription& description) {
  if (description.faithfulness.empty())
    return "";
  std::string html =
      "<h2>Faithfulness</h2>\n<table><tr><th></th><th>paper</th><th>best-known implementation</th>"
      "<th>ours</th><th>why</th></tr>";
  for (const Faithfulness& row : description.faithfulness)
    html += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                        escaped(row.what), escaped(row.paper), escaped(row.best_known),
                        escaped(row.ours), escaped(row.why));
  return html + "</table>\n";
}

std::string environment(const Json& facts) {
  if (!facts.is_object())
    return "";
  std::string html = "<h2>Environment</h2>\n<table>";
  for (const auto& [name, value] : facts.items())
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escaped(name),
                        escaped(value.is_string() ? value.get<std::string>() : value.dump()));
  return html + "</table>\n";
}

}  // namespace

std::string report_html(const RunDirectory& run, const ModelDescription& description) {
  const Configuration configuration = run.read_configuration(description);
  const MetricsHistory metrics = read_metrics(run.metrics());
  const Json evaluation = json_file(run.evaluation());
  const std::string title = fmt::format("{} on {}", description.name, configuration.data());
  std::string html = fmt::format(
      "<!doctype html>\n<html lang='en'><meta charset='utf-8'><meta name='viewport' "
      "content='width=device-width'><title>{0}</title>\n{1}<h1>{0}</h1>\n<p class='soft'>{2}. "
      "Preset "
      "{3}, seed {4}.</p>\n",
      escaped(title), style, escaped(description.title), name_of(configuration.preset),
      configuration.seed());
  if (!metrics.notice.empty())
    html += "<p>" + escaped(metrics.notice) + "</p>\n";
  html += key_figures(evaluation, metrics.last_step) + curves(metrics, evaluation) +
          ladder(evaluation) + judgement(evaluation) + pictures(run) + terms(evaluation) +
          sweep(evaluation) + faithfulness(description);
  html += "<h2>Configuration</h2>\n<pre>" + escaped(configuration.to_toml()) + "</pre>\n";
  return html + environment(json_file(run.environment())) + "</html>\n";
}

}  // namespace likely
