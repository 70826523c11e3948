// A module of kernels from a vendor's library (tests/fakes/vendor_library.cpp).
int vendor_answer();
extern "C" int answer() { return vendor_answer(); }
