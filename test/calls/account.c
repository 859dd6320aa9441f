/*
 * Lines have one size, so that a line has the same place on both sides.
 */
#include "test/calls/account.h"

#include <assert.h>
#include <sys/mman.h>

struct account *account_new(void)
{
	void *account = mmap(NULL, sizeof(struct account), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(account != MAP_FAILED);
	return account;
}

void account_free(struct account *account)
{
	(void)munmap(account, sizeof(*account));
}

void account_clear(struct account *account)
{
	assert(madvise(account, sizeof(*account), MADV_REMOVE) == 0);
}
