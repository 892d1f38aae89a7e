/* What every baseline needs: to stop at an error, and to measure. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void must(int ok, const char *what) {
  if (!ok) {
    perror(what);
    exit(1);
  }
}

struct cost {
  long long cpu, wall;
};

static inline long long nanoseconds(clockid_t clock) {
  struct timespec now;
  must(clock_gettime(clock, &now) == 0, "clock_gettime");
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline struct cost now(void) {
  struct cost cost = {nanoseconds(CLOCK_PROCESS_CPUTIME_ID), nanoseconds(CLOCK_MONOTONIC)};
  return cost;
}

static inline void print_between(struct cost before, struct cost after, char end) {
  printf("%lld %lld%c", after.cpu - before.cpu, after.wall - before.wall, end);
}
