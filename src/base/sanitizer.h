/*
 * Whether this was compiled with the address or the thread sanitizer, which take terabytes of addresses
 * and several times the time.
 */
#ifndef FERRY_BASE_SANITIZER_H
#define FERRY_BASE_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
