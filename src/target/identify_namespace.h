/*
 * The pages of Identify that are about namespaces. Each fills 4096 bytes that are zero; the
 * request's NSID is that of a namespace there is, or for a list the one after which it begins.
 */
#ifndef FERRY_TARGET_IDENTIFY_NAMESPACE_H
#define FERRY_TARGET_IDENTIFY_NAMESPACE_H

struct target_request;

/** CNS 00h: NVM 1.0, 4.1.5.1. */
void identify_fill_namespace(const struct target_request *request, void *page);

/** CNS 02h and 07h: Base 2.0, 4.4.2. */
void identify_fill_namespace_list(const struct target_request *request, void *page);

/** CNS 03h: Base 2.0, 5.17.2.3. */
void identify_fill_descriptors(const struct target_request *request, void *page);

/** CNS 05h: NVM 1.0, 4.1.5.3. */
void identify_fill_nvm_namespace(const struct target_request *request, void *page);

/** CNS 08h: Base 2.0, 5.17.2.8. */
void identify_fill_independent(const struct target_request *request, void *page);

#endif
