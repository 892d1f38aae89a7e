/* The plain way, without any checks: a tmpfs over `folder` with one key of its own, and all originals bound back, by mount(2). It is
 * made on `scratch`. */
#include <sys/mount.h>

static inline void attach(const char *folder, const char *scratch) {
  must(mount("baseline", scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m") == 0, "mount tmpfs");
  must(mount(NULL, scratch, NULL, MS_PRIVATE, NULL) == 0, "make private");
  int at = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(at >= 0, scratch);
  fill(at);
  close(at);
  for (int i = 0; i < count; i++) {
    char from[8192], to[8192];
    snprintf(from, sizeof from, "%s/%s", folder, originals[i].name);
    snprintf(to, sizeof to, "%s/%s", scratch, originals[i].name);
    must(mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0, from);
  }
  struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
  must(mount_setattr(AT_FDCWD, scratch, AT_RECURSIVE, &read_only, sizeof read_only) == 0, "mount_setattr");
  must(mount(scratch, folder, NULL, MS_MOVE, NULL) == 0, folder);
}
