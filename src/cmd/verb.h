/*
 * The verbs: one file each. A verb is given its own name as argv[0] and returns an exit status.
 */
#ifndef FERRY_CMD_VERB_H
#define FERRY_CMD_VERB_H

int verb_call(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_disk(int argc, char **argv);
int verb_spawner(int argc, char **argv);

#endif
