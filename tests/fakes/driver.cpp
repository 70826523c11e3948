// A driver library without a GPU behind it: answers what the environment tells it to.
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace {

int told(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : otherwise;
}

}  // namespace

extern "C" {

int cuDriverGetVersion(int* version) {
  *version = told("FAKE_VERSION", 13000);
  return 0;
}
int cuInit(unsigned) { return told("FAKE_INIT", 0); }
int cuDeviceGetCount(int* count) {
  *count = told("FAKE_COUNT", 1);
  return 0;
}
int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}
int cuDeviceGetName(char* name, int size, int device) {
  std::snprintf(name, static_cast<std::size_t>(size), "%s",
                device == 2 ? "Another GPU" : "Fake GPU");
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? told("FAKE_MAJOR", 9) : 0;
  return 0;
}
int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{80} << 30;
  return 0;
}
int cuDevicePrimaryCtxRetain(void**, int) { return told("FAKE_CONTEXT", 0); }
}
