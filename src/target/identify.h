/*
 * Identify (Base 2.0, 5.17): a row for each CNS.
 */
#ifndef FERRY_TARGET_IDENTIFY_H
#define FERRY_TARGET_IDENTIFY_H

#include "target/target_request.h"

target_request_step identify_begin;
target_request_step identify_execute;

#endif
