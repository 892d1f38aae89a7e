/* A runtime as small as can be, which stays: it says `ready`, then for each line `start` on standard input makes a container, and for
 * `start<TAB>PROGRAM<TAB>ARGUMENT...` one that this hook prepares, from within its namespaces and before pivot_root. It prints what
 * that took: CPU and wall nanoseconds, the container's mounts, and nanoseconds to read its /proc/self/mountinfo. All containers end
 * with it. RUNTIME_ROOTFS, RUNTIME_STATE (what the hook gets on its standard input) and RUNTIME_CGROUP (the file to enter one by) are
 * in the environment. */
#define _GNU_SOURCE
#include "cost.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define READS 21

struct answer {
  long long cpu, mounts, mountinfo;
};

static long long spent(int who) {
  struct rusage usage;
  must(getrusage(who, &usage) == 0, "getrusage");
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static void run_hook(char **hook) {
  pid_t child = fork();
  must(child >= 0, "fork");
  if (child == 0) {
    int state = open(getenv("RUNTIME_STATE"), O_RDONLY);
    must(state >= 0 && dup2(state, 0) == 0, "RUNTIME_STATE");
    dup2(2, 1);
    execv(hook[0], hook + 1);
    must(0, hook[0]);
  }
  int status;
  must(waitpid(child, &status, 0) == child, "waitpid");
  if (status != 0) {
    fprintf(stderr, "%s: status %d\n", hook[0], status);
    exit(1);
  }
}

static int in_order(const void *one, const void *other) {
  long long a = *(const long long *)one, b = *(const long long *)other;
  return (a > b) - (a < b);
}

static void read_mountinfo(struct answer *answer) {
  static char text[1 << 16];
  long long took[READS];
  for (int i = 0; i < READS; i++) {
    long long start = nanoseconds(CLOCK_MONOTONIC);
    int file = open("/proc/self/mountinfo", O_RDONLY);
    must(file >= 0, "mountinfo");
    answer->mounts = 0;
    for (ssize_t size; (size = read(file, text, sizeof text)) > 0;)
      for (ssize_t at = 0; at < size; at++)
        answer->mounts += text[at] == '\n';
    close(file);
    took[i] = nanoseconds(CLOCK_MONOTONIC) - start;
  }
  qsort(took, READS, sizeof took[0], in_order);
  answer->mountinfo = took[READS / 2];
}

static void container(int answers, char **hook) {
  const char *rootfs = getenv("RUNTIME_ROOTFS");
  char proc[4096];
  struct answer answer;
  must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl");
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make / private");
  must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) == 0, rootfs);
  snprintf(proc, sizeof proc, "%s/proc", rootfs);
  must(mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, proc);
  if (hook != NULL)
    run_hook(hook);
  must(chdir(rootfs) == 0, rootfs);
  must(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0, "pivot_root");
  answer.cpu = spent(RUSAGE_SELF) + spent(RUSAGE_CHILDREN);
  read_mountinfo(&answer);
  must(write(answers, &answer, sizeof answer) == sizeof answer, "write");
  for (int file = 0; file < 64; file++)
    close(file);
  for (;;)
    pause();
}

static void start(char **hook) {
  int answers[2];
  struct answer answer;
  must(pipe2(answers, O_CLOEXEC) == 0, "pipe");
  struct cost before = now();
  pid_t child = syscall(SYS_clone, NAMESPACES | SIGCHLD, 0, 0, 0, 0);
  must(child >= 0, "clone");
  if (child == 0)
    container(answers[1], hook);
  close(answers[1]);
  must(read(answers[0], &answer, sizeof answer) == sizeof answer, "the container");
  struct cost after = now();
  close(answers[0]);
  printf("%lld %lld %lld %lld\n", after.cpu - before.cpu + answer.cpu, after.wall - before.wall, answer.mounts, answer.mountinfo);
}

static void enter_cgroup(void) {
  const char *file = getenv("RUNTIME_CGROUP");
  if (file == NULL)
    return;
  FILE *processes = fopen(file, "w");
  must(processes != NULL && fprintf(processes, "%d", getpid()) > 0 && fclose(processes) == 0, file);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--version") == 0) {
    puts("runc version 1.1.5");
    return 0;
  }
  enter_cgroup();
  puts("ready");
  for (char line[4096]; fflush(stdout), fgets(line, sizeof line, stdin) != NULL;) {
    char *words[16], *rest = line;
    int found = 0;
    line[strcspn(line, "\n")] = '\0';
    while (found < 15 && (words[found] = strsep(&rest, "\t")) != NULL)
      found++;
    words[found] = NULL;
    start(found > 1 ? words + 1 : NULL);
  }
  return 0;
}
