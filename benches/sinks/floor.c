/* SPDX-License-Identifier: MPL-2.0 */

/*
 * The floor: frames the data packets of a stream that is in memory, and writes them with writev, 64 at a time.
 *
 * usage: floor FILE HEADER PACKET PORT
 *
 * Prints the CPU time of framing and writing, in nanoseconds.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64 };

static uint64_t
cpu (void)
{
  struct timespec time;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time);
  return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

/* Writes all of it. */
static int
write_all (int socket, struct iovec *pieces, int count)
{
  while (count > 0) {
    ssize_t written = writev (socket, pieces, count);

    if (written < 0)
      return -1;
    while (count > 0 && (size_t) written >= pieces->iov_len) {
      written -= (ssize_t) pieces->iov_len;
      pieces++;
      count--;
    }
    if (count > 0) {
      pieces->iov_base = (char *) pieces->iov_base + written;
      pieces->iov_len -= (size_t) written;
    }
  }
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc != 5)
    return 2;

  size_t header = strtoul (argv[2], NULL, 10);
  size_t packet = strtoul (argv[3], NULL, 10);
  struct sockaddr_in peer = {
    .sin_family = AF_INET,
    .sin_port = htons ((uint16_t) atoi (argv[4])),
    .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
  };
  struct stat status;
  int file = open (argv[1], O_RDONLY);
  int stream = socket (AF_INET, SOCK_STREAM, 0);

  if (file < 0 || fstat (file, &status) < 0 || stream < 0
      || connect (stream, (struct sockaddr *) &peer, sizeof peer) < 0)
    return 1;

  size_t size = (size_t) status.st_size;
  char *bytes = malloc (size);

  for (size_t at = 0; bytes != NULL && at < size;) {
    ssize_t count = read (file, bytes + at, size - at);

    if (count <= 0)
      return 1;
    at += (size_t) count;
  }

  uint64_t before = cpu ();
  size_t at = header;

  while (at + packet <= size) {
    unsigned char heads[BATCH][4];
    struct iovec pieces[2 * BATCH];
    int count = 0;

    while (count < 2 * BATCH && at + packet <= size) {
      unsigned char *head = heads[count / 2];

      head[0] = '$';
      head[1] = 'D';
      head[2] = (unsigned char) packet;
      head[3] = (unsigned char) (packet >> 8);
      pieces[count++] = (struct iovec) { head, 4 };
      pieces[count++] = (struct iovec) { bytes + at, packet };
      at += packet;
    }
    if (write_all (stream, pieces, count) < 0)
      return 1;
  }
  printf ("%llu\n", (unsigned long long) (cpu () - before));
  return close (stream);
}
