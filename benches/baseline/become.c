/* The wrapper that does nothing: becomes the program that its arguments name, with the rest of them. */
#include <unistd.h>

int main(int count, char **arguments) {
  if (count < 2)
    return 127;
  execv(arguments[1], arguments + 1);
  return 127;
}
