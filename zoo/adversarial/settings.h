// The settings that adversarial models share, and what the data changes of them.
#pragma once
#include "zoo/adversarial/networks.h"
#include "zoo/run/model.h"

namespace likely {

std::vector<Setting> network_settings();
NetworkOptions network_options(const Settings& settings);

bool is_of_points(const std::string& data);
// Photographs and digits in their grey levels, not as black and white.
void keep_grey(Settings& settings, const std::string& data);
// Data in the plane first, or images first.
std::vector<std::string> points_then_images();
std::vector<std::string> images_then_points();

}  // namespace likely
