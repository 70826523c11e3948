#include "zoo/adversarial/settings.h"

#include <algorithm>

namespace likely {
namespace {

const std::vector<std::string> points{"rings", "grid", "gaussian"},
    images{"shapes",         "shapes-rgb", "mnist",    "fashion-mnist", "omniglot", "cifar-10",
           "cifar-10-small", "emoji",      "emoji-64", "pngs-32",       "pngs-64"};

std::vector<std::string> joined_lists(std::vector<std::string> a,
                                      const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

std::vector<std::string> points_then_images() { return joined_lists(points, images); }
std::vector<std::string> images_then_points() { return joined_lists(images, points); }

bool is_of_points(const std::string& data) {
  return std::find(points.begin(), points.end(), data) != points.end();
}

void keep_grey(Settings& settings, const std::string& data) {
  if (data == "mnist" || data == "fashion-mnist" || data == "omniglot")
    settings.set("binarisation", std::string("none"));
}

std::vector<Setting> network_settings() {
  return {
      {"width",
       "units of a hidden layer; of images, channels of the layer beside them",
       128,
       256,
       512,
       {},
       of_width},
      fixed_setting("layers", "hidden layers of each network, of points", std::int64_t{3},
                    of_layers),
      {"latents", "dimensions of z", 2, 2, 2, {}, of_width},
      fixed_setting("activation", "of hidden layers: ReLU and its kind, or tanh, without a kink",
                    "usual", {"usual", "tanh"})};
}

NetworkOptions network_options(const Settings& settings) {
  NetworkOptions options;
  options.latents = settings.integer("latents");
  options.width = settings.integer("width");
  options.layers = settings.integer("layers");
  options.smooth = settings.text("activation") == "tanh";
  return options;
}

}  // namespace likely
