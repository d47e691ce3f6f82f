/* hdf5_library.h — libhdf5, loaded when a program reads or writes an HDF5 file and not
 * before; private to this folder and to the measurements of a run (../run). */
#ifndef LQFT_IO_HDF5_LIBRARY_H
#define LQFT_IO_HDF5_LIBRARY_H

#include <hdf5.h>

/* The header's constants call the library, which is not linked. */
#undef H5CHECK
#undef H5OPEN
#define H5CHECK
#define H5OPEN

/* Functions; a name may be a macro of hdf5.h for one with a version. */
#define HDF5_FUNCTIONS(X)                                                                     \
    X(H5open) X(H5dont_atexit) X(H5Eset_auto2) X(H5Fopen) X(H5Fcreate) X(H5Fflush)            \
    X(H5Fclose) X(H5Gopen2) X(H5Gclose) X(H5Gget_info) X(H5Lget_name_by_idx) X(H5Lget_info)   \
    X(H5Oopen) X(H5Oclose) X(H5Iget_type) X(H5Dopen2) X(H5Dclose) X(H5Dget_type)              \
    X(H5Dget_space) X(H5Dget_create_plist) X(H5Dread) X(H5Dcreate2) X(H5Dwrite)               \
    X(H5Tget_class) X(H5Tget_size) X(H5Tget_sign) X(H5Tget_nmembers) X(H5Tget_member_class)   \
    X(H5Tget_member_type) X(H5Tget_member_index) X(H5Tcreate) X(H5Tinsert) X(H5Tclose)        \
    X(H5Sget_simple_extent_ndims) X(H5Sget_simple_extent_dims) X(H5Sget_simple_extent_type)   \
    X(H5Screate) X(H5Screate_simple) X(H5Sclose) X(H5Pcreate) X(H5Pclose) X(H5Pget_layout)    \
    X(H5Pget_nfilters) X(H5Pget_filter2) X(H5Pget_external_count)                             \
    X(H5Pset_create_intermediate_group) X(H5Pset_obj_track_times)                             \
    /* files that grow while they are read: ../run/measurements.c */                          \
    X(H5Fstart_swmr_write) X(H5Fget_vfd_handle) X(H5Gcreate2) X(H5Dset_extent)                \
    X(H5Dget_offset) X(H5Dget_chunk_info_by_coord) X(H5Sselect_hyperslab) X(H5Acreate2)       \
    X(H5Awrite) X(H5Aclose) X(H5Rcreate) X(H5Tcopy) X(H5Tset_size) X(H5Tset_cset)             \
    X(H5Tvlen_create) X(H5Pset_chunk) X(H5Pset_libver_bounds) X(H5Pset_file_locking)          \
    X(H5Pset_fclose_degree) X(H5Pset_layout) X(H5Pset_alloc_time) X(H5Ewalk2)

/* Numbers of types and property classes, variables of the library. */
#define HDF5_NUMBERS(X)                                                                       \
    X(H5T_NATIVE_DOUBLE) X(H5T_NATIVE_INT64) X(H5T_NATIVE_UINT64) X(H5T_IEEE_F64LE)           \
    X(H5T_IEEE_F32LE) X(H5T_STD_I64LE) X(H5T_STD_I32LE) X(H5T_NATIVE_INT) X(H5T_C_S1)         \
    X(H5T_STD_REF_OBJ)

#define HDF5_FUNCTION(name) __typeof__(name) *name##_;
#define HDF5_NUMBER(name) hid_t name##_;
typedef struct Hdf5 {
    HDF5_FUNCTIONS(HDF5_FUNCTION)
    HDF5_NUMBERS(HDF5_NUMBER)
    hid_t class_link, class_dataset; /* property lists of creation */
    hid_t class_access;              /* how a file is opened */
} Hdf5;

/* The library, silent about errors, or NULL with the reason. */
const Hdf5 *hdf5_library(const char **why);

#endif
