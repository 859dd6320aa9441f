/*
 * Whether this was compiled with the address or the thread sanitizer, which take terabytes of addresses
 * and several times the time; and with the thread sanitizer, which does not stand all that signals, filters
 * and forks do.
 */
#ifndef FERRY_BASE_SANITIZER_H
#define FERRY_BASE_SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define IS_THREAD_SANITIZED 1
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_THREAD_SANITIZED 1
#elif __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_THREAD_SANITIZED
#define IS_THREAD_SANITIZED 0
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED IS_THREAD_SANITIZED
#endif

#endif
