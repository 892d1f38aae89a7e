/* What binds.h does to /proc/sys/kernel.
 * bind_loop SCRATCH: for each line on standard input does so and takes it off again, and prints CPU and wall nanoseconds of both. */
#define _GNU_SOURCE
#include "cost.h"
#include "originals.h"
#include "binds.h"
#include <sched.h>

int main(int argc, char **argv) {
  must(argc == 2, "bind_loop SCRATCH");
  must(unshare(CLONE_NEWNS) == 0, "unshare");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make / private");
  look(FOLDER);
  for (char line[64]; fgets(line, sizeof line, stdin) != NULL;) {
    struct cost start = now();
    attach(FOLDER, argv[1]);
    struct cost attached = now();
    must(umount2(FOLDER, MNT_DETACH) == 0, "umount " FOLDER);
    struct cost detached = now();
    print_between(start, attached, ' ');
    print_between(attached, detached, '\n');
    fflush(stdout);
  }
  return 0;
}
