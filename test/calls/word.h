/*
 * Words: an argument of a call, as the subjects write it.
 *
 * | WORD | VALUE |
 * |---|---|
 * | 12, -1, 0x80, 0644 | the number |
 * | file, pipe... | the descriptor of that name (world.h) |
 * | at | AT_FDCWD |
 * | 'TEXT' | a string |
 * | m | 4096 bytes and more |
 * | z | the same, all 0 |
 * | int:N... long:N... | numbers of 4 and of 8 bytes, one after the other |
 * | poll:NAME,... | struct pollfd of POLLIN of each descriptor |
 * | set:NAME,... | bits of descriptors |
 * | event:N | struct epoll_event of EPOLLIN and that value |
 * | in4:PORT | the address 127.0.0.1 |
 * | unix:PATH | the address of a unix socket |
 * | iov:N,... | struct iovec of buffers of so many bytes |
 * | msg, msg4, msg- | struct msghdr of two buffers; with room for an address and control data, with the
 *   address 127.0.0.1:9, with neither |
 * | mmsg, mmsg- | two struct mmsghdr likewise |
 */
#ifndef FERRY_TEST_CALLS_WORD_H
#define FERRY_TEST_CALLS_WORD_H

#include "test/calls/side.h"

#define WORD_ASIDE   (ARENA_SLOTS - 2) /* the slot of what structures point at */
#define WORD_BUFFERS (ARENA_SLOTS - 1) /* ...of the buffers of vectors */

/** Put the argument @index, as @word says, into its slot. A word that is none fails the test. */
uint64_t word_place(struct side *side, unsigned index, const char *word);

#endif
