/* The cheapest way that the kernel has, without any checks: a tree with one key of its own and all originals that belong to no
 * namespace, made once and cloned over /proc/sys/kernel by one open_tree(2) and one move_mount(2); the others bound one by one.
 * template SCRATCH NAMESPACED...: for each line on standard input does so and takes it off again, and prints CPU and wall nanoseconds of
 * both. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include <sched.h>
#include <sys/mount.h>

#define CLONE (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)

static struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};

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

static void attach(const char *scratch, char **namespaced) {
  int clones[MOST], folder = open(FOLDER, O_PATH | O_CLOEXEC);
  must(folder >= 0, FOLDER);
  for (int i = 0; namespaced[i] != NULL; i++) {
    clones[i] = open_tree(folder, namespaced[i], CLONE);
    must(clones[i] >= 0, namespaced[i]);
    must(mount_setattr(clones[i], "", AT_EMPTY_PATH, &read_only, sizeof read_only) == 0, "mount_setattr");
  }
  int tree = open_tree(AT_FDCWD, scratch, CLONE | AT_RECURSIVE);
  must(tree >= 0, "open_tree");
  must(move_mount(tree, "", folder, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0, "move_mount " FOLDER);
  for (int i = 0; namespaced[i] != NULL; i++) {
    must(move_mount(clones[i], "", tree, namespaced[i], MOVE_MOUNT_F_EMPTY_PATH) == 0, namespaced[i]);
    close(clones[i]);
  }
  close(tree);
  close(folder);
}

int main(int argc, char **argv) {
  must(argc >= 2, "template SCRATCH NAMESPACED...");
  must(unshare(CLONE_NEWNS) == 0, "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make / private");
  look(FOLDER);
  make(argv[1], argv + 2);
  for (char line[64]; fgets(line, sizeof line, stdin) != NULL;) {
    struct cost start = now();
    attach(argv[1], argv + 2);
    struct cost attached = now();
    must(umount2(FOLDER, MNT_DETACH) == 0, "umount " FOLDER);
    struct cost detached = now();
    print_between(start, attached, ' ');
    print_between(attached, detached, '\n');
    fflush(stdout);
  }
  return 0;
}
