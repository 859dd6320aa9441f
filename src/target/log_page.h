/*
 * Get Log Page (Base 2.0, 5.16): a row for each LID, from which LPA is derived. A page is produced
 * piece by piece into a window of what the host asks for.
 */
#ifndef FERRY_TARGET_LOG_PAGE_H
#define FERRY_TARGET_LOG_PAGE_H

#include "target/target_request.h"

struct controller;

target_request_step log_page_begin;
target_request_step log_page_execute;

/** @return the NVME_LPA_ bits of the pages that @controller has. */
uint8_t log_page_attributes(const struct controller *controller);

#endif
