/*
 * Get Features and Set Features (Base 2.0, 5.15, 5.27): a row for each FID.
 */
#ifndef FERRY_TARGET_FEATURE_H
#define FERRY_TARGET_FEATURE_H

#include "target/target_request.h"

target_request_step feature_get_begin;
target_request_step feature_get_execute;
target_request_step feature_set_begin;
target_request_step feature_set_execute;

/** @return the NVME_EFFECTS_ bits of feature @fid, 0 if an I/O controller has no such feature. */
uint32_t feature_effects(uint8_t fid);

#endif
