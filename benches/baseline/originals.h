/* What /proc/sys/kernel, or a folder like it, has, and mountpoints for it. Looked at once: what is measured afterwards is mounting alone. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/proc/sys/kernel"
#define MOST 512

struct original {
  char name[256];
  int is_folder;
};

static struct original originals[MOST];
static int count;

static inline void look(const char *path) {
  DIR *folder = opendir(path);
  must(folder != NULL, path);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.')
      continue;
    must(count < MOST, "more originals than expected");
    strcpy(originals[count].name, entry->d_name);
    originals[count++].is_folder = entry->d_type == DT_DIR;
  }
  closedir(folder);
}

/* In the folder `at`: one key of our own, and an empty mountpoint for each original. */
static inline void fill(int at) {
  int key = openat(at, "made_up", O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
  must(key >= 0 && write(key, "7\n", 2) == 2, "made_up");
  close(key);
  for (int i = 0; i < count; i++) {
    if (originals[i].is_folder) {
      must(mkdirat(at, originals[i].name, 0555) == 0, originals[i].name);
    } else {
      int file = openat(at, originals[i].name, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
      must(file >= 0, originals[i].name);
      close(file);
    }
  }
}
