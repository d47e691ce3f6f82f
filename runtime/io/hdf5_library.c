/* hdf5_library.c — finds libhdf5 and its functions at run time: see hdf5_library.h. */
#include "hdf5_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifndef LQFT_HDF5
#define LQFT_HDF5 "libhdf5_serial.so"
#endif

static bool find_all(void *library, Hdf5 *h)
{
    bool ok = true;
    hid_t *number;
    /* through memcpy, for a pointer to data is no pointer to a function in C */
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define FIND(name)                                     \
    {                                                  \
        void *p = dlsym(library, TEXT(name));          \
        memcpy(&h->name##_, &p, sizeof p);             \
        ok = ok && p;                                  \
    }
    HDF5_FUNCTIONS(FIND)
    if (!ok || h->H5open_() < 0) return false;
#define FIND_NUMBER(place, symbol)                     \
    number = dlsym(library, symbol);                   \
    if (number) place = *number;                       \
    else ok = false;
#define NUMBER(name) FIND_NUMBER(h->name##_, #name "_g")
    HDF5_NUMBERS(NUMBER)
    FIND_NUMBER(h->class_link, "H5P_CLS_LINK_CREATE_ID_g")
    FIND_NUMBER(h->class_dataset, "H5P_CLS_DATASET_CREATE_ID_g")
    FIND_NUMBER(h->class_access, "H5P_CLS_FILE_ACCESS_ID_g")
    return ok;
}

const Hdf5 *hdf5_library(const char **why)
{
    static Hdf5 hdf5;
    static bool ready;
    if (ready) return &hdf5;
    void *library = dlopen(LQFT_HDF5, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        *why = "the library for HDF5 is not installed (Debian package libhdf5-103-1)";
        return NULL;
    }
    void *p = dlsym(library, "H5dont_atexit");
    herr_t (*stay)(void);
    memcpy(&stay, &p, sizeof p);
    if (p) stay(); /* must come before H5open */
    if (!find_all(library, &hdf5)) {
        *why = "the installed library for HDF5 has another version than the one lqft was built with";
        return NULL;
    }
    hdf5.H5Eset_auto2_(H5E_DEFAULT, NULL, NULL);
    ready = true;
    return &hdf5;
}
