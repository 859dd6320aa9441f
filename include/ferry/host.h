/*
 * libferry: a host of NVMe over TCP in user space. A host is one association with one namespace of
 * a target: a disk somewhere else, read and written by this program, with no kernel driver and no
 * privilege.
 *
 * A blocking program calls ferry_host_open(), ferry_host_pread(), ferry_host_pwrite(),
 * ferry_host_sync() and ferry_host_close().
 *
 * A program with an event loop calls ferry_host_start() and then, each time round:
 *
 *     int timeout_ms = ferry_host_prepare(host);      // before polling, each time
 *     poll ferry_host_fd(host) for reading, at most timeout_ms (-1: no limit of the host's)
 *     ferry_host_process(host, 0);                    // calls the callbacks
 *
 * Threads: a host belongs to one thread at a time; different hosts are independent of each other.
 * Callbacks come from within ferry_host_process() and the blocking calls, never from within the
 * call that made the request. A callback may make further requests; it may not close the host, nor
 * call ferry_host_process() or anything that blocks.
 *
 * Errors are negative errno values; ferry_host_error() has a sentence for the last one. Strings are
 * UTF-8. When the connection is lost, requests that may have reached the target end with -EIO,
 * those that had to wait end with -ENOTCONN, and so does every later call.
 */
#ifndef FERRY_HOST_H
#define FERRY_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ferry_host;

#define FERRY_HOST_ERROR_MAX     512 /* bytes of a sentence, with NUL */
#define FERRY_HOST_IO_QUEUES_MAX 64
#define FERRY_HOST_ENTRIES_MAX   1024
#define FERRY_HOST_REQUESTS_MAX  65536
#define FERRY_HOST_NO_KEEP_ALIVE UINT32_MAX
#define FERRY_HOST_RECORDS_MAX   4096 /* of a discovery log */
#define FERRY_HOST_URL_MAX       320  /* bytes of a record's URL, with NUL */

/* What may be chosen. 0 or NULL in any field is its default; set struct_bytes and leave the rest:
 *
 *     struct ferry_host_options options = {.struct_bytes = sizeof(options)};
 */
struct ferry_host_options {
	size_t struct_bytes; /* sizeof(struct ferry_host_options), as the caller knows it */
	/* The name of this host, 1..223 bytes. Default: /etc/nvme/hostnqn if it can be read, else a
	 * name made of /etc/machine-id, always the same on one machine. */
	const char *host_nqn;
	/* Identifies the host to reservations. Default (all 0): /etc/nvme/hostid where the default
	 * name is used too, else made of the name. */
	uint8_t host_id[16];
	/* Connections for reads and writes, 1..FERRY_HOST_IO_QUEUES_MAX; the target may allow fewer.
	 * Default 1. */
	uint16_t io_queues;
	/* Of each, 2..FERRY_HOST_ENTRIES_MAX: one less is in flight; the target may allow fewer.
	 * Default 128. */
	uint16_t queue_entries;
	/* The target gives the host up after this time without a sign of life; the host gives the
	 * target up when that is not answered. FERRY_HOST_NO_KEEP_ALIVE for none. Default 5000. */
	uint32_t kato_ms;
	/* For all of opening, beside the time the target asks for to become ready. Default 10000. */
	uint32_t connect_timeout_ms;
	/* Requests taken at a time, in flight and waiting, 1..FERRY_HOST_REQUESTS_MAX: more are
	 * refused with -EAGAIN. Default 1024. */
	uint32_t requests;
	/* 1: ask for CRC32C checksums of the headers of PDUs, and of data; a target that refuses is
	 * refused. Data that arrive damaged fail their request with -EIO. Default 0. */
	uint8_t header_digest, data_digest;
};

/** Connect to the namespace at @url and wait until it can be used.
 *  @param url `nvme-tcp://HOST[:PORT]/NQN[/NSID]`: the port is 4420 and NSID 1 unless said; an IPv6
 *  address goes in brackets
 *  @param options NULL for defaults
 *  @param ret_host the host, to be closed by the caller; untouched on failure
 *  @param ret_error on failure a sentence that says what was refused and why; may be NULL
 *  @return 0 or -errno. */
int ferry_host_open(const char *url, const struct ferry_host_options *options,
	struct ferry_host **ret_host, char ret_error[FERRY_HOST_ERROR_MAX])
	__attribute__((warn_unused_result));

/* What a host tells a program with an event loop. Each may be NULL. */
struct ferry_host_handler {
	/* Called once. @error 0: the host can be used. Else -errno: it can only be closed. */
	void (*ready)(void *context, int error);
	/* The connection of a host that was ready is lost; its requests have ended. */
	void (*lost)(void *context, int error);
	void *context;
};

/** Begin to connect. A name in @url is looked up before this returns, which may block; a numeric
 *  address is not.
 *  @param handler is copied
 *  @return as ferry_host_open(): 0 when the host is connecting. */
int ferry_host_start(const char *url, const struct ferry_host_options *options,
	const struct ferry_host_handler *handler, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX]) __attribute__((warn_unused_result));

/** End the association in order and free the host. Waits for requests outstanding and for the
 *  target, together at most 5 seconds; requests that are not done by then end with -ECANCELED.
 *  Callbacks are called before this returns. NULL is legal. */
void ferry_host_close(struct ferry_host *host);

/** @return a descriptor that polls readable when ferry_host_process() has something to do. */
int ferry_host_fd(struct ferry_host *host);

/** Call before each poll of ferry_host_fd(). @return the milliseconds after which
 *  ferry_host_process() is due even if the descriptor is not readable (0: now, -1: never). */
int ferry_host_prepare(struct ferry_host *host);

/** Do what there is to do, waiting at most @timeout_ms for something (0: not at all, -1: without
 *  limit). @return 0 or -errno when the host can no longer be driven. */
int ferry_host_process(struct ferry_host *host, int timeout_ms);

#define FERRY_HOST_FUA 1u /* of a write: on stable storage when it is done */

/* What is asked; copied by the call that takes it. */
struct ferry_host_request {
	uint64_t lba;         /* first block; unused by a flush, as are the next three */
	uint32_t block_count; /* at least 1 */
	unsigned flags;       /* 0 or FERRY_HOST_FUA */
	void *buffer; /* the caller's until the call, the host's until done(); only read by a write */
	void (*done)(void *context, int error); /* the end: 0 or -errno */
	void *context;
};

/** Read, write, or bring all writes that are done to stable storage. done() is called exactly once
 *  if and only if 0 is returned. Requests that are out together may be executed in any order; one
 *  that is longer than the target takes at once (transfer_bytes) is split and not atomic.
 *  @return 0; -EAGAIN: too many requests are out, try again after one is done; -EINVAL: no blocks, or
 *  a flag that does not belong; -ERANGE: beyond the end of the namespace; -ENOTCONN: not ready yet,
 *  or lost. */
int ferry_host_read(struct ferry_host *host, const struct ferry_host_request *request)
	__attribute__((warn_unused_result));
int ferry_host_write(struct ferry_host *host, const struct ferry_host_request *request)
	__attribute__((warn_unused_result));
int ferry_host_flush(struct ferry_host *host, const struct ferry_host_request *request)
	__attribute__((warn_unused_result));

/* The same, blocking. @offset and @bytes are multiples of the block size (else -EINVAL).
 * @return 0 or -errno; there are no short reads or writes. */
int ferry_host_pread(struct ferry_host *host, void *buffer, size_t bytes, uint64_t offset)
	__attribute__((warn_unused_result));
int ferry_host_pwrite(struct ferry_host *host, const void *buffer, size_t bytes, uint64_t offset)
	__attribute__((warn_unused_result));
int ferry_host_sync(struct ferry_host *host) __attribute__((warn_unused_result));

/* What the target says of itself and of the namespace. */
struct ferry_host_info {
	size_t struct_bytes; /* sizeof(struct ferry_host_info), set by the caller */
	char address[128];   /* "127.0.0.1:4420" */
	char nqn[224];       /* of the subsystem */
	char host_nqn[224];  /* of this host */
	char model[41], serial[21], firmware[9];
	uint32_t version; /* of NVMe: major 31:16, minor 15:8, tertiary 7:0 */
	uint16_t cntlid;
	uint16_t io_queues;
	uint16_t queue_entries;
	uint32_t transfer_bytes; /* most of one command: larger requests are split */
	uint32_t capsule_bytes;  /* writes to this size need one round trip */
	uint32_t nsid;
	uint32_t block_bytes; /* 512.. */
	uint64_t block_count;
	uint8_t uuid[16];        /* of the namespace; all 0: none */
	uint8_t has_write_cache; /* 1: a write is not stable before a flush, unless FERRY_HOST_FUA */
	uint8_t is_read_only;    /* 1: writes will be refused */
	uint8_t header_digest, data_digest; /* 1: in use */
};

/** @return 0, or -ENOTCONN before the host is ready. */
int ferry_host_get_info(const struct ferry_host *host, struct ferry_host_info *ret_info)
	__attribute__((warn_unused_result));

/** @return a sentence for the last error of this host, "" if there was none; valid until the next
 *  call. A command that failed is told by its NVMe status. Of a lost connection it tells once
 *  ferry_host_process() has returned, after the requests' own callbacks. */
const char *ferry_host_error(const struct ferry_host *host);

/* What a target lends: its discovery log, read at one time. */
struct ferry_host_discovery;

/* A way to a subsystem, as a discovery log tells of it (NVMe Base 2.0, 5.16.1.23). Texts are of
 * printable ASCII, '?' standing for anything else, but for the NQN, which is UTF-8 without control
 * characters. */
struct ferry_host_record {
	size_t struct_bytes;    /* sizeof(struct ferry_host_record), set by the caller */
	uint8_t transport;      /* TRTYPE: 1 RDMA, 2 Fibre Channel, 3 TCP */
	uint8_t address_family; /* ADRFAM: 1 IPv4, 2 IPv6 */
	uint8_t subsystem_type; /* SUBTYPE: 1 another discovery service, 2 disks, 3 the discovery
				 * service that was asked */
	uint8_t requirements;   /* TREQ */
	uint8_t security;       /* SECTYPE, of TCP: 0 none, 2 TLS 1.3 */
	uint16_t port_id;       /* PORTID */
	uint16_t cntlid;        /* 0xffff: any that is free */
	uint16_t admin_entries; /* ASQSZ: most entries of an admin queue */
	uint16_t flags;         /* EFLAGS */
	char nqn[224];
	char address[257]; /* TRADDR */
	char service[33];  /* TRSVCID: the port, of TCP */
	/* For ferry_host_open() (namespace 1), or ferry_host_discover() if it is a discovery service;
	 * "" if there is none: another transport, or no numeric address. */
	char url[FERRY_HOST_URL_MAX];
};

/** Ask a target what it lends to this host, and wait for the answer: connect to its discovery
 *  controller, read the log until it is of one piece, and disconnect.
 *  @param url `nvme-tcp://HOST[:PORT]`: the port is 8009 unless said
 *  @param options NULL for defaults; of use are the host's name and identity, the digests, and the
 *  time-out, which bounds connecting and reading, each
 *  @param ret_discovery the log, to be freed by the caller; untouched on failure
 *  @param ret_error on failure a sentence that says what was refused and why; may be NULL
 *  @return 0 or -errno: as ferry_host_open(); -EMSGSIZE: it has more than FERRY_HOST_RECORDS_MAX
 *  records; -EAGAIN: it changed each time it was read. */
int ferry_host_discover(const char *url, const struct ferry_host_options *options,
	struct ferry_host_discovery **ret_discovery, char ret_error[FERRY_HOST_ERROR_MAX])
	__attribute__((warn_unused_result));

/** NULL is legal. */
void ferry_host_discovery_free(struct ferry_host_discovery *discovery);

/** @return the log's generation (GENCTR): the same as long as nothing in it changes. */
uint64_t ferry_host_discovery_generation(const struct ferry_host_discovery *discovery);

/** @return the number of records, 0..FERRY_HOST_RECORDS_MAX. */
uint32_t ferry_host_discovery_count(const struct ferry_host_discovery *discovery);

/** @return how many records beside these make no sense (no NQN, or a type that is not known). */
uint32_t ferry_host_discovery_left_out(const struct ferry_host_discovery *discovery);

/** Tell a record. @param index 0.. in the target's order
 *  @return 0; -ERANGE: there is none; -EINVAL: struct_bytes is not set. */
int ferry_host_discovery_record(const struct ferry_host_discovery *discovery, uint32_t index,
	struct ferry_host_record *ret_record) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif

#endif
