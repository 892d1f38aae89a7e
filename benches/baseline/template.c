/* What clones.h does to /proc/sys/kernel, with a tree that is made once on SCRATCH.
 * template SCRATCH NAMESPACED...: for each line on standard input does so and takes it off again, and prints CPU and wall nanoseconds of
 * both. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include "clones.h"
#include <sched.h>

static int listed(const char *name, char **names) {
  for (; *names != NULL; names++)
    if (strcmp(*names, name) == 0)
      return 1;
  return 0;
}

static void make(const char *scratch, char **namespaced) {
  must(mount("baseline", scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m") == 0, "mount tmpfs");
  int at = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(at >= 0, scratch);
  fill(at);
  close(at);
  for (int i = 0; i < count; i++) {
    if (listed(originals[i].name, namespaced))
      continue;
    char from[512], to[512];
    snprintf(from, sizeof from, FOLDER "/%s", originals[i].name);
    snprintf(to, sizeof to, "%s/%s", scratch, originals[i].name);
    must(mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0, from);
  }
  must(mount_setattr(AT_FDCWD, scratch, AT_RECURSIVE, &read_only, sizeof read_only) == 0, "mount_setattr");
}

int main(int argc, char **argv) {
  must(argc >= 2, "template SCRATCH NAMESPACED...");
  must(unshare(CLONE_NEWNS) == 0, "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make / private");
  look(FOLDER);
  make(argv[1], argv + 2);
  for (char line[64]; fgets(line, sizeof line, stdin) != NULL;) {
    struct cost start = now();
    int tree = open_tree(AT_FDCWD, argv[1], CLONE | AT_RECURSIVE);
    must(tree >= 0, argv[1]);
    attach(FOLDER, tree, argv + 2);
    struct cost attached = now();
    must(umount2(FOLDER, MNT_DETACH) == 0, "umount " FOLDER);
    struct cost detached = now();
    print_between(start, attached, ' ');
    print_between(attached, detached, '\n');
    fflush(stdout);
  }
  return 0;
}
