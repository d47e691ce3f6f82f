# LLVM: LLVM_INCLUDE, LLVM_LIBDIR, and LLVM_LINK, what the code generator is linked with.
#
# Its archives, where they are installed, as with Debian's llvm-19-dev: then lqft_llvm.so has of LLVM
# what it needs, 48 MB.  Loading libLLVM.so, 120 MB whose names are looked up one by one, takes about a
# quarter of the time from a model's text to its first trajectory (`tests/bench/run.py cold`).
option(LQFT_STATIC_LLVM "LLVM inside the code generator, where its archives are installed" ON)

find_program(LLVM_CONFIG NAMES llvm-config-19 llvm-config-20 llvm-config-21 llvm-config-22 REQUIRED)
function(llvm_config out)
  execute_process(COMMAND ${LLVM_CONFIG} ${ARGN} OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    set(said "")
  endif()
  separate_arguments(said)
  set(${out} "${said}" PARENT_SCOPE)
endfunction()
set(LLVM_PARTS core x86 passes)
llvm_config(LLVM_INCLUDE --includedir)
llvm_config(LLVM_LIBDIR --libdir)
llvm_config(LLVM_SHARED --link-shared --libs ${LLVM_PARTS})
set(LLVM_LINK -L${LLVM_LIBDIR} ${LLVM_SHARED})

# Archives are of use when a program can be linked with them: what they want of the system may be
# missing, or be there without the files for developers.
function(try_archives cxx)
  llvm_config(archives --link-static --libs ${LLVM_PARTS})
  find_library(LLVM_ZSTD NAMES zstd libzstd.so.1)
  if(NOT archives OR NOT LLVM_ZSTD)
    return()
  endif()
  set(link -L${LLVM_LIBDIR} -Wl,--start-group ${archives} -Wl,--end-group -l:${cxx} ${LLVM_ZSTD} -lz -lm -ldl -lrt -lpthread)
  set(CMAKE_REQUIRED_LIBRARIES ${link})
  set(CMAKE_REQUIRED_INCLUDES ${LLVM_INCLUDE})
  set(CMAKE_REQUIRED_QUIET ON)
  string(MAKE_C_IDENTIFIER LLVM_ARCHIVES_${cxx} works)
  check_c_source_compiles("
    #include <llvm-c/Target.h>
    #include <llvm-c/Transforms/PassBuilder.h>
    int main(void) {
      LLVMInitializeX86Target(); LLVMInitializeX86TargetMC(); LLVMInitializeX86AsmPrinter();
      return LLVMRunPasses(0, \"\", 0, LLVMCreatePassBuilderOptions()) != 0;
    }" ${works})
  if(${works})
    set(LLVM_LINK ${link} -Wl,--gc-sections -Wl,-Bsymbolic PARENT_SCOPE)
    set(LLVM_IS_INSIDE TRUE PARENT_SCOPE)
  endif()
endfunction()

include(CheckCSourceCompiles)
if(LQFT_STATIC_LLVM)
  try_archives(libstdc++.a)
  if(NOT LLVM_IS_INSIDE)
    try_archives(libstdc++.so.6)
  endif()
endif()
