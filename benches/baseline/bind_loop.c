/* The plain way, without any checks: a tmpfs over /proc/sys/kernel with one key of its own, and all originals bound back, by mount(2).
 * bind_loop SCRATCH: for each line on standard input does so and takes it off again, and prints CPU and wall nanoseconds of both. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include <sched.h>
#include <sys/mount.h>

static void attach(const char *scratch) {
  must(mount("baseline", scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m") == 0, "mount tmpfs");
  must(mount(NULL, scratch, NULL, MS_PRIVATE, NULL) == 0, "make private");
  int at = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(at >= 0, scratch);
  fill(at);
  close(at);
  for (int i = 0; i < count; i++) {
    char from[512], to[512];
    snprintf(from, sizeof from, FOLDER "/%s", originals[i].name);
    snprintf(to, sizeof to, "%s/%s", scratch, originals[i].name);
    must(mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0, from);
  }
  struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
  must(mount_setattr(AT_FDCWD, scratch, AT_RECURSIVE, &read_only, sizeof read_only) == 0, "mount_setattr");
  must(mount(scratch, FOLDER, NULL, MS_MOVE, NULL) == 0, "move to " FOLDER);
}

int main(int argc, char **argv) {
  must(argc == 2, "bind_loop SCRATCH");
  must(unshare(CLONE_NEWNS) == 0, "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make / private");
  look();
  for (char line[64]; fgets(line, sizeof line, stdin) != NULL;) {
    struct cost start = now();
    attach(argv[1]);
    struct cost attached = now();
    must(umount2(FOLDER, MNT_DETACH) == 0, "umount " FOLDER);
    struct cost detached = now();
    print_between(start, attached, ' ');
    print_between(attached, detached, '\n');
    fflush(stdout);
  }
  return 0;
}
