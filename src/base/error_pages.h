/* The parts of the table of codes, one file a theme; error_codes.c puts them together. */
#pragma once

#include <creel/error_codes.h>

extern const struct error_page error_pages_document[], error_pages_host[], error_pages_system[],
    error_pages_process[];
extern const size_t error_pages_document_n, error_pages_host_n, error_pages_system_n,
    error_pages_process_n;
