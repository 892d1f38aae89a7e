/* A hook that does nothing but the mounts that one lacking key takes, in the plain way: what the kernel needs for them.
 * bind_hook ROOTFS: as a createContainer hook. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include "binds.h"

int main(int argc, char **argv) {
  must(argc == 2, "bind_hook ROOTFS");
  char folder[4096], scratch[4096];
  snprintf(folder, sizeof folder, "%s" FOLDER, argv[1]);
  snprintf(scratch, sizeof scratch, "%s/tmp", argv[1]);
  look(folder);
  attach(folder, scratch);
  return 0;
}
