/*
 * Property Get and Property Set of a controller (Base 2.0, 6.5, 6.6 and 3.1.3).
 */
#ifndef FERRY_TARGET_PROPERTY_H
#define FERRY_TARGET_PROPERTY_H

#include "target/target_request.h"

target_request_step property_get_begin;
target_request_step property_get_execute;
target_request_step property_set_begin;
target_request_step property_set_execute;

#endif
