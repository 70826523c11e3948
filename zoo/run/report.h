// Report: one HTML file that holds all a run has to show; no scripts, nothing loaded.
#pragma once
#include <string>

#include "zoo/run/run_directory.h"

namespace likely {

// From the files of the run: what is not there yet is left out.
std::string report_html(const RunDirectory& run, const ModelDescription& description);

}  // namespace likely
