/*
 * The verbs of `ferry disk`. Each is given its own name as argv[0] and returns an exit status.
 */
#ifndef FERRY_CMD_DISK_H
#define FERRY_CMD_DISK_H

int disk_list(int argc, char **argv);
int disk_info(int argc, char **argv);
int disk_copy(int argc, char **argv);

#endif
