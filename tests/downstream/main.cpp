// A project that uses the installed library: it must compile, link and run.
#include <hesse/hesse.h>

#include <cstdio>

int main() {
  std::puts("linked with hesse::hesse");
  return 0;
}
