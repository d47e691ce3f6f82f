# Installation: cmake --install build --prefix DIR, and a Debian package: cpack -G DEB.
#
#   bin/lqft                      finds the rest from where it is itself, so the tree may be moved
#   lib/lqft/lqft_llvm.so         the code generator
#   lib/lqft/lqft_sampler, .so    what `lqft build` makes executables and libraries of; include/lqft_sampler.h
#   share/lqft/stdlib             the library
#   lib/liblqft_runtime.a, include/lqft, lib/pkgconfig, lib/cmake/lqft-runtime
#   share/man, share/doc/lqft     pages of the commands and of the library; examples
#   share/…                       completions of the shells; files of the editors
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---- man pages, completions, documentation: written by lqft itself ------------------------------
set(TEXTS ${CMAKE_CURRENT_BINARY_DIR}/texts)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS compiler/tools/options.def)
file(READ compiler/tools/options.def OPTIONS_DEF)
string(REGEX MATCHALL "\nCOMMAND\\(\"[a-z]+" COMMANDS "${OPTIONS_DEF}")
list(TRANSFORM COMMANDS REPLACE ".*\"" "")
set(TEXT_COMMANDS COMMAND ${CMAKE_COMMAND} -E make_directory ${TEXTS}/man1 COMMAND lqft man > ${TEXTS}/man1/lqft.1)
foreach(command ${COMMANDS})
  list(APPEND TEXT_COMMANDS COMMAND lqft man ${command} > ${TEXTS}/man1/lqft-${command}.1)
endforeach()
foreach(shell bash zsh fish)
  list(APPEND TEXT_COMMANDS COMMAND lqft completion ${shell} > ${TEXTS}/lqft.${shell})
endforeach()
file(GLOB_RECURSE STDLIB CONFIGURE_DEPENDS stdlib/*.lqft)
add_custom_command(OUTPUT ${TEXTS}/done
  ${TEXT_COMMANDS}
  COMMAND ${CMAKE_COMMAND} -E remove_directory ${TEXTS}/man7
  COMMAND ${CMAKE_COMMAND} -E remove_directory ${TEXTS}/html
  COMMAND lqft doc --stdlib --format man -o ${TEXTS}/man7
  COMMAND lqft doc --stdlib --format html -o ${TEXTS}/html
  COMMAND ${CMAKE_COMMAND} -E touch ${TEXTS}/done
  DEPENDS lqft ${STDLIB}
  VERBATIM)
add_custom_target(texts ALL DEPENDS ${TEXTS}/done)

# ---- the compiler ----------------------------------------------------------------------------------
# A shared LLVM may lie in a folder that the loader does not search.  Debian's is a link to one that it does.
file(GLOB LLVM_FILES ${LLVM_LIBDIR}/libLLVM*.so*)
foreach(file ${LLVM_FILES})
  file(REAL_PATH ${file} file)
  get_filename_component(folder ${file} DIRECTORY)
  file(REAL_PATH ${LLVM_LIBDIR} own)
  if(folder STREQUAL own AND NOT LLVM_IS_INSIDE)
    set_target_properties(lqft_llvm PROPERTIES INSTALL_RPATH "${LLVM_LIBDIR}")
  endif()
endforeach()
install(TARGETS lqft RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT lqft)
install(TARGETS lqft_llvm lqft_sampler_library LIBRARY DESTINATION lib/lqft COMPONENT lqft)
install(TARGETS lqft_sampler RUNTIME DESTINATION lib/lqft COMPONENT lqft)
install(FILES runtime/standalone/lqft_sampler.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT lqft)
install(DIRECTORY stdlib/ DESTINATION ${CMAKE_INSTALL_DATADIR}/lqft/stdlib COMPONENT lqft FILES_MATCHING PATTERN "*.lqft")
install(DIRECTORY ${TEXTS}/man1 ${TEXTS}/man7 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT lqft)
install(DIRECTORY ${TEXTS}/html DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT lqft)
install(FILES README.md grammar/reference.md grammar/errors.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT lqft)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT lqft FILES_MATCHING PATTERN "*.lqft" PATTERN "*.md")
install(FILES ${TEXTS}/lqft.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME lqft COMPONENT lqft)
install(FILES ${TEXTS}/lqft.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _lqft COMPONENT lqft)
install(FILES ${TEXTS}/lqft.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT lqft)
install(DIRECTORY editors/vim/ DESTINATION ${CMAKE_INSTALL_DATADIR}/vim/vimfiles COMPONENT lqft)
install(DIRECTORY editors/vim/ DESTINATION ${CMAKE_INSTALL_DATADIR}/nvim/site COMPONENT lqft)
install(FILES editors/emacs/lqft-mode.el DESTINATION ${CMAKE_INSTALL_DATADIR}/emacs/site-lisp COMPONENT lqft)
install(DIRECTORY editors/vscode editors/pygments editors/jupyter DESTINATION ${CMAKE_INSTALL_DATADIR}/lqft/editors COMPONENT lqft PATTERN "__pycache__" EXCLUDE)

# ---- the runtime, as a library for C ----------------------------------------------------------------
install(TARGETS lqft_runtime EXPORT lqft-runtime ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY runtime/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lqft COMPONENT runtime FILES_MATCHING PATTERN "*.h")
install(EXPORT lqft-runtime NAMESPACE lqft:: FILE lqft-runtime-targets.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lqft-runtime COMPONENT runtime)
configure_package_config_file(cmake/lqft-runtime-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lqft-runtime)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lqft-runtime COMPONENT runtime)
# from lib/pkgconfig, or lib/<machine>/pkgconfig, back to the prefix
file(RELATIVE_PATH TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" TO_PREFIX "${TO_PREFIX}")
configure_file(cmake/lqft-runtime.pc.in ${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lqft-runtime.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT runtime)

# ---- the Debian package -------------------------------------------------------------------------------
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lqft)
set(CPACK_PACKAGE_VENDOR lqft)
set(CPACK_PACKAGE_CONTACT "lqft <lqft@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "language and compiler for lattice quantum field theory")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libhdf5-103-1")
find_program(SHLIBDEPS dpkg-shlibdeps)
if(SHLIBDEPS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
else()
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6, libjansson4, zlib1g")
  if(LLVM_IS_INSIDE)
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libzstd1")
  else()
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libllvm19 | libllvm20")
  endif()
endif()
include(CPack)
