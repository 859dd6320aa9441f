/*
 * What little of Identify needs a table.
 */
#include "nvme/identify.h"

uint8_t nvme_identifier_bytes(uint8_t nidt)
{
	static const uint8_t bytes[] = {
		[NVME_NIDT_EUI64] = 8,
		[NVME_NIDT_NGUID] = 16,
		[NVME_NIDT_UUID] = 16,
		[NVME_NIDT_CSI] = 1,
	};

	return nidt < sizeof(bytes) ? bytes[nidt] : 0;
}
