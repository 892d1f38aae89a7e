/* A hook that does nothing but clone a template, which a `template` of template.c keeps in its mount namespace: what the kernel needs for
 * a container that lacks one key, at the least.
 * template_hook ROOTFS NAMESPACE SCRATCH NAMESPACED...: as a createContainer hook. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include "clones.h"
#include <sched.h>

int main(int argc, char **argv) {
  must(argc >= 4, "template_hook ROOTFS NAMESPACE SCRATCH NAMESPACED...");
  char folder[4096];
  snprintf(folder, sizeof folder, "%s" FOLDER, argv[1]);
  int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), other = open(argv[2], O_RDONLY | O_CLOEXEC);
  must(own >= 0 && other >= 0, argv[2]);
  must(setns(other, CLONE_NEWNS) == 0, argv[2]);
  int tree = open_tree(AT_FDCWD, argv[3], CLONE | AT_RECURSIVE);
  must(tree >= 0, argv[3]);
  must(setns(own, CLONE_NEWNS) == 0, "setns");
  attach(folder, tree, argv + 4);
  return 0;
}
