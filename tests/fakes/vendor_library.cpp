// A vendor's library, in a folder that the loader does not know.
int vendor_answer() { return 42; }
