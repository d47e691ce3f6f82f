# The tests.  `ctest -L quick` takes less than a minute; without -L everything runs.
# Every test says in its folder what it checks; tests/README.md is the map.
option(BUILD_TESTING "build the tests" ON)
if(NOT BUILD_TESTING)
  return()
endif()
enable_testing()
find_program(PYTHON python3 REQUIRED)

set(TESTS ${CMAKE_CURRENT_SOURCE_DIR}/tests)
set(TEST_BIN ${CMAKE_CURRENT_BINARY_DIR}/tests)

# lqft_test(name label seconds command…): label is quick or full; quick tests run in both.
function(lqft_test name label seconds)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${seconds} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
endfunction()

# lqft_executable(name library source…): a test program in build/tests.
function(lqft_executable name library)
  list(TRANSFORM ARGN PREPEND tests/)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE ${library} ${CMAKE_DL_LIBS})
  add_dependencies(${name} lqft_llvm)
  # objects that a test links by itself call the runtime's functions by name
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${TEST_BIN} ENABLE_EXPORTS ON)
endfunction()

# ---- the runtime ------------------------------------------------------------------------------
foreach(name io philox stats threads vmath)
  lqft_executable(test_${name} lqft_runtime numerics/test_${name}.c)
  lqft_test(numerics.${name} quick 120 test_${name})
endforeach()
lqft_executable(test_formats lqft_runtime io/test_formats.c)
lqft_test(io.formats quick 120 test_formats ${TESTS}/io/data)
lqft_executable(mutate lqft_runtime io/mutate.c fuzz/io_fuzz.c)
lqft_test(io.damaged quick 120 mutate ${TESTS}/io/data)
target_link_libraries(test_vmath PRIVATE quadmath) # references; comes with gcc
lqft_test(numerics.vmath.full full 300 test_vmath full)
lqft_executable(test_linalg lqft_runtime numerics/test_linalg.c)
lqft_test(numerics.linalg quick 120 test_linalg)
lqft_executable(test_contract lqft_runtime numerics/test_contract.c)
lqft_test(numerics.contract quick 120 test_contract)
lqft_test(numerics.contract.full full 300 test_contract full)
lqft_executable(test_random lqft_runtime numerics/test_random.c)
lqft_test(numerics.random full 120 test_random)
find_path(TESTU01_INCLUDE bbattery.h)
find_library(TESTU01 testu01)
if(TESTU01_INCLUDE AND TESTU01)
  lqft_executable(smallcrush lqft_runtime numerics/smallcrush.c)
  target_include_directories(smallcrush PRIVATE ${TESTU01_INCLUDE})
  get_filename_component(TESTU01_FOLDER ${TESTU01} DIRECTORY)
  target_link_directories(smallcrush PRIVATE ${TESTU01_FOLDER})
  target_link_libraries(smallcrush PRIVATE ${TESTU01} probdist mylib)
  lqft_test(numerics.smallcrush full 300 smallcrush)
endif()
# times things: nothing else may run
lqft_executable(test_threads_speed lqft_runtime numerics/test_threads_speed.c)
lqft_test(numerics.threads.speed full 120 test_threads_speed)
set_tests_properties(numerics.threads.speed PROPERTIES RUN_SERIAL TRUE)
lqft_executable(test_plot lqft_runtime plot/test_plot.c)
lqft_test(plot quick 120 test_plot)

# run directories: killed processes, full disks, failing calls, damaged files
lqft_executable(test_store lqft_runtime run/test_store.c run/faults.c)
lqft_test(run.store full 400 test_store)
lqft_test(run.layout quick 60 ${PYTHON} ${TESTS}/run/layout.py $<TARGET_FILE:test_store>)

# ---- the compiler, pass by pass ----------------------------------------------------------------
lqft_executable(front_main lqft_compiler language/front_main.c)
lqft_test(language quick 120 sh ${TESTS}/language/run.sh $<TARGET_FILE:front_main>)

lqft_executable(test_interp lqft_compiler ir/test_interp.c)
lqft_test(ir.interp quick 120 test_interp)
lqft_executable(test_diff lqft_compiler ir/test_diff.c)
lqft_test(ir.diff quick 120 test_diff)
lqft_executable(test_calls lqft_compiler ir/test_calls.c)
lqft_test(ir.calls quick 120 test_calls)
lqft_executable(test_fuse lqft_compiler ir/test_fuse.c backend/kbuild.c backend/keval.c)
lqft_test(ir.fuse quick 120 test_fuse)

lqft_executable(test_llvm lqft_compiler backend/test_llvm.c backend/kbuild.c backend/keval.c)
lqft_test(backend.llvm full 300 test_llvm 0)
lqft_test(backend.llvm.random full 600 test_llvm 3)

lqft_executable(test_native_calls lqft_compiler backend/test_calls.c)
lqft_test(backend.calls quick 120 test_native_calls)

lqft_executable(test_object lqft_compiler backend/test_object.c backend/kbuild.c)
lqft_test(backend.object quick 120 test_object)

# Random programs through every executor; generated with Python.
lqft_executable(agree lqft_compiler agreement/agree.c)
target_compile_definitions(agree PRIVATE AGREE_DIR="${TESTS}/agreement" LQFT_STDLIB="${CMAKE_CURRENT_SOURCE_DIR}/stdlib")
target_link_options(agree PRIVATE -Wl,--wrap=lq_parallel,--wrap=lq_workers)
lqft_test(agreement.quick quick 300 agree --many 10)
lqft_test(agreement full 600 agree)
lqft_test(agreement.single full 600 agree --single --many 60)

# ---- the whole program ---------------------------------------------------------------------------
function(lqft_script name label seconds script)
  if(NOT EXISTS ${TESTS}/${script})
    message(FATAL_ERROR "tests/${script} is missing")
  endif()
  lqft_test(${name} ${label} ${seconds} ${PYTHON} ${TESTS}/${script} ${ARGN})
endfunction()

# whole runs that are killed, stopped, damaged, without room, and resumed
lqft_script(run.resume.quick quick 120 run/resume.py --quick --lqft $<TARGET_FILE:lqft> Kills.test_ising Kills.test_train Signals.test_a_second_one_ends_it
            Damage.test_states Damage.test_run_json Damage.test_measurements Disks.test_limits_of_files Refusals Folders.test_reads Folders.test_writes)
lqft_script(run.resume full 400 run/resume.py --lqft $<TARGET_FILE:lqft> Kills Signals Done Damage Disks Refusals Folders)
lqft_script(run.resume.cost full 240 run/resume.py --lqft $<TARGET_FILE:lqft> Cost)
set_tests_properties(run.resume.cost PROPERTIES RUN_SERIAL TRUE)
lqft_script(numerics.distributions quick 120 numerics/distributions.py $<TARGET_FILE:lqft>)
lqft_script(structure quick 60 structure/run.py)
lqft_script(errors quick 120 errors/run.py $<TARGET_FILE:lqft>)
lqft_script(hostile full 600 errors/hostile.py $<TARGET_FILE:lqft>)
lqft_script(reference full 300 reference/run.py --lqft $<TARGET_FILE:lqft>)
lqft_script(agreement.same full 300 agreement/same.py $<TARGET_FILE:lqft>)
lqft_script(cli quick 240 cli/run.py --lqft $<TARGET_FILE:lqft>)
# the editors that are installed; the others are left out, which -V shows
lqft_script(editors full 120 editors/run.py --lqft $<TARGET_FILE:lqft> --front $<TARGET_FILE:front_main>)
lqft_script(repl.quick quick 120 repl/run.py --lqft $<TARGET_FILE:lqft> Readme Sessions Whole Hostile Protocol.test_malformed Protocol.test_answers Protocol.test_symbols)
lqft_script(repl full 300 repl/run.py --lqft $<TARGET_FILE:lqft> Keys Protocol Jupyter)
lqft_script(data quick 120 cli/data.py --lqft $<TARGET_FILE:lqft>)
lqft_script(fmt quick 120 fmt/run.py --lqft $<TARGET_FILE:lqft> --front $<TARGET_FILE:front_main>)
lqft_script(help quick 120 cli/help.py --lqft $<TARGET_FILE:lqft>)
lqft_script(install full 300 install/run.py --lqft $<TARGET_FILE:lqft> --build ${CMAKE_CURRENT_BINARY_DIR})
lqft_script(doc quick 120 doc/run.py --lqft $<TARGET_FILE:lqft>)
lqft_script(cache quick 240 cli/cache.py --lqft $<TARGET_FILE:lqft>)
lqft_script(build.quick quick 120 build/run.py --lqft $<TARGET_FILE:lqft> Same.test_some Same.test_settings_few Open Settings File.test_linked File.test_size File.test_start
  Damage.test_few Damage.test_tails Directories.test_terminated Directories.test_report Portable.test_chosen Portable.test_wishes Library.test_errors Library.test_gradient Hostile)
lqft_script(build full 300 build/run.py --lqft $<TARGET_FILE:lqft>)
lqft_script(nn quick 240 nn/run.py --lqft $<TARGET_FILE:lqft>)
lqft_script(nn.dots full 240 nn/dots.py --lqft $<TARGET_FILE:lqft>)
lqft_script(physics.quick quick 240 physics/run.py --quick --lqft $<TARGET_FILE:lqft>)
lqft_script(physics.models full 240 physics/models.py --lqft $<TARGET_FILE:lqft>)
lqft_script(physics.verdicts full 240 physics/verdicts.py --lqft $<TARGET_FILE:lqft>)
lqft_script(physics full 900 physics/run.py --lqft $<TARGET_FILE:lqft>)
lqft_script(physics.inverse full 600 physics/inverse.py --lqft $<TARGET_FILE:lqft> --out ${TEST_BIN})
lqft_script(physics.single full 240 physics/run.py --single --lqft $<TARGET_FILE:lqft> "exact 2x2" "phi4 8x8" "phi4 free 8x8")

# ---- speed, and what it rests on -----------------------------------------------------------------
# measurements, not tests
lqft_executable(contract lqft_runtime bench/contract.c)
lqft_executable(functions lqft_compiler bench/functions.c backend/kbuild.c)
lqft_executable(allocations lqft_compiler bench/allocations.c)
file(GLOB EXAMPLES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/examples/*.lqft)
lqft_test(bench.allocations full 120 allocations ${CMAKE_CURRENT_SOURCE_DIR}/stdlib ${EXAMPLES})
lqft_script(bench.budget quick 120 bench/budget.py --lqft $<TARGET_FILE:lqft>)
lqft_script(bench.check.quick quick 120 bench/check.py --quick --lqft $<TARGET_FILE:lqft>)
lqft_script(bench.check full 240 bench/check.py --lqft $<TARGET_FILE:lqft>)
lqft_script(bench.speed full 240 bench/run.py --quick --lqft $<TARGET_FILE:lqft>)
set_tests_properties(bench.speed bench.check PROPERTIES RUN_SERIAL TRUE)

# ---- fuzzing -----------------------------------------------------------------------------------------
# The parser and the readers of arrays, from any bytes.  Needs clang with its fuzzer runtime, whatever compiles the rest.
find_program(FUZZ_CC NAMES clang-19 clang-20 clang-21 clang-22)
set(FUZZ_FLAGS -std=gnu17 -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address -fno-omit-frame-pointer)
set(FUZZ_WORKS FALSE)
if(FUZZ_CC)
  file(WRITE ${TEST_BIN}/empty_fuzz.c "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const unsigned char *d, size_t n) { return !d && n; }\n")
  execute_process(COMMAND ${FUZZ_CC} ${FUZZ_FLAGS} ${TEST_BIN}/empty_fuzz.c -o ${TEST_BIN}/empty_fuzz RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(status EQUAL 0)
    set(FUZZ_WORKS TRUE)
  endif()
endif()
if(FUZZ_WORKS)
  set(FUZZ_SOURCES compiler/front/ast.c compiler/front/diag.c compiler/front/parse.c compiler/front/source.c compiler/front/words.c compiler/front/lexemes.c compiler/front/format.c runtime/base.c tests/fuzz/front_fuzz.c)
  list(TRANSFORM FUZZ_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  file(GLOB FRONT_HEADERS compiler/front/front.h compiler/front/parse.h compiler/front/diag.def compiler/front/words.def runtime/base.h)
  add_custom_command(OUTPUT ${TEST_BIN}/front_fuzz
    COMMAND ${FUZZ_CC} ${FUZZ_FLAGS} -I${CMAKE_CURRENT_SOURCE_DIR}/compiler/front -I${GEN} ${FUZZ_SOURCES}
            ${GEN}/parser.c ${GEN}/lexer.c ${GEN}/errors_md.c -o ${TEST_BIN}/front_fuzz
    DEPENDS ${FUZZ_SOURCES} ${FRONT_HEADERS} ${GEN}/parser.c ${GEN}/lexer.c ${GEN}/errors_md.c
    VERBATIM)
  add_custom_target(fuzz ALL DEPENDS ${TEST_BIN}/front_fuzz)
  # both make the generated files: one after the other
  add_dependencies(fuzz lqft_compiler)
  file(GLOB IO_SOURCES CONFIGURE_DEPENDS runtime/io/*.c)
  file(GLOB IO_HEADERS CONFIGURE_DEPENDS runtime/io/*.h)
  add_custom_command(OUTPUT ${TEST_BIN}/io_fuzz
    COMMAND ${FUZZ_CC} ${FUZZ_FLAGS} -isystem ${HDF5_INCLUDE} -isystem ${JANSSON_INCLUDE} -DLQFT_HDF5="${HDF5_SONAME}"
            ${IO_SOURCES} ${CMAKE_CURRENT_SOURCE_DIR}/runtime/base.c ${TESTS}/fuzz/io_fuzz.c -o ${TEST_BIN}/io_fuzz ${JANSSON_LIB} ${ZLIB_LIBRARIES} -lm
    DEPENDS ${IO_SOURCES} ${IO_HEADERS} runtime/base.c ${TESTS}/fuzz/io_fuzz.c
    VERBATIM)
  add_custom_target(fuzz_io ALL DEPENDS ${TEST_BIN}/io_fuzz)
  lqft_test(fuzz.io full 120 sh ${TESTS}/fuzz/run.sh ${TEST_BIN}/io_fuzz ${TEST_BIN}/corpus_io 20 tests/io/data)
  lqft_test(fuzz.front full 120 sh ${TESTS}/fuzz/run.sh ${TEST_BIN}/front_fuzz ${TEST_BIN}/corpus 20 tests/language/good tests/errors examples stdlib)
else()
  message(STATUS "no fuzz test: clang-19 with libclang-rt-19-dev and libstdc++ is not installed")
endif()
