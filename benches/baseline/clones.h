/* The cheapest way that the kernel has, without any checks: `tree`, a clone of a tree with one key of its own and all originals that belong
 * to no namespace, over `folder`, and on it clones of the others, one by one. */
#include <sys/mount.h>

#define CLONE (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)

static struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};

static inline void attach(const char *path, int tree, char **namespaced) {
  int clones[MOST], folder = open(path, O_PATH | O_CLOEXEC);
  must(folder >= 0, path);
  for (int i = 0; namespaced[i] != NULL; i++) {
    clones[i] = open_tree(folder, namespaced[i], CLONE);
    must(clones[i] >= 0, namespaced[i]);
    must(mount_setattr(clones[i], "", AT_EMPTY_PATH, &read_only, sizeof read_only) == 0, "mount_setattr");
  }
  must(move_mount(tree, "", folder, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0, path);
  for (int i = 0; namespaced[i] != NULL; i++) {
    must(move_mount(clones[i], "", tree, namespaced[i], MOVE_MOUNT_F_EMPTY_PATH) == 0, namespaced[i]);
    close(clones[i]);
  }
  close(tree);
  close(folder);
}
