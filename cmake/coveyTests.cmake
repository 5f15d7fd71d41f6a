# Tests, examples, fuzzers and measurements: everything that is built but not installed.
#
#   tests/{unit,os,api}/*.c   one program a floor: covey_test_FLOOR over Criterion where that is found, and always
#                             covey_test_FLOOR_standin over the runner of tests/support
#   tests/inner/inner.c       covey_test_inner and covey_test_inner_standin: tests that must fail, run by a test of the runners
#   tests/helper/*.c          covey_test_helper, every child in every test; it lies beside the test programs
#   tests/examples/NAME.c     covey_NAME, a test too
#   tests/fuzz/NAME.c         covey_fuzz_NAME replays tests/fuzz/corpus/NAME with driver.c; model.c of the support is there too; with COVEY_FUZZ also
#                             covey_fuzzer_NAME over clang's libFuzzer
option(COVEY_CRITERION "Build the tests over Criterion too, where it is found" ON)
option(COVEY_FUZZ "Build the fuzzers over libFuzzer (clang)" OFF)

# Words that no healthy test prints: a sanitizer's report may leave the exit status at 0, and so does a run without tests.
set(covey_test_guards "ERROR: [A-Za-z]*Sanitizer;WARNING: [A-Za-z]*Sanitizer;runtime error:;Tested: [^0-9]*0[^0-9];^1[.][.]0")

# The library once more, with its faults to order and with its inner functions in sight.
add_library(covey_testing STATIC EXCLUDE_FROM_ALL ${covey_sources})
target_include_directories(covey_testing PUBLIC include src)
target_compile_definitions(covey_testing PUBLIC COVEY_STATIC COVEY_FAULTS)
target_link_libraries(covey_testing PUBLIC covey::libuv covey::pcre2 ${covey_system_libraries})
covey_compile(covey_testing)

if(COVEY_CRITERION AND NOT COVEY_SANITIZE MATCHES "thread")
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(COVEY_CRITERION_LIBRARY QUIET IMPORTED_TARGET "criterion>=2.4")
  endif()
endif()

function(covey_program name)
  add_executable(${name} ${ARGN})
  covey_compile(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

function(covey_test name seconds)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} FAIL_REGULAR_EXPRESSION "${covey_test_guards}")
endfunction()

# Of twins in tests/support and tests/helper the one for this system; of the two runners the one of the program.
function(covey_twins list)
  if(WIN32)
    list(FILTER ${list} EXCLUDE REGEX "/posix[.]c$")
  else()
    list(FILTER ${list} EXCLUDE REGEX "/win32[.]c$")
  endif()
  list(FILTER ${list} EXCLUDE REGEX "/(criterion|standin)[.]c$")
  set(${list} ${${list}} PARENT_SCOPE)
endfunction()

file(GLOB covey_helper_sources CONFIGURE_DEPENDS tests/helper/*.c)
covey_twins(covey_helper_sources)
if(covey_helper_sources)
  covey_program(covey_test_helper ${covey_helper_sources})
  target_link_libraries(covey_test_helper PRIVATE covey_testing)
endif()

file(GLOB covey_support_sources CONFIGURE_DEPENDS tests/support/*.c)
covey_twins(covey_support_sources)
# covey_test_NAME_standin, and covey_test_NAME over Criterion where it was found, of the same files.
function(covey_test_programs name)
  set(runners standin)
  if(TARGET PkgConfig::COVEY_CRITERION_LIBRARY)
    list(APPEND runners criterion)
  endif()
  foreach(runner ${runners})
    set(program covey_test_${name}_standin)
    if(runner STREQUAL criterion)
      set(program covey_test_${name})
    endif()
    covey_program(${program} ${ARGN} ${covey_support_sources} tests/support/${runner}.c)
    target_include_directories(${program} PRIVATE tests)
    target_link_libraries(${program} PRIVATE covey_testing)
    add_dependencies(${program} covey_test_helper)
    if(runner STREQUAL criterion)
      target_compile_definitions(${program} PRIVATE COVEY_TEST_CRITERION)
      target_link_libraries(${program} PRIVATE PkgConfig::COVEY_CRITERION_LIBRARY)
    endif()
  endforeach()
endfunction()

foreach(floor unit os api)
  file(GLOB files CONFIGURE_DEPENDS tests/${floor}/*.c)
  if(NOT files)
    continue()
  endif()
  covey_test_programs(${floor} ${files})
  if(TARGET covey_test_${floor})
    covey_test(${floor} 600 covey_test_${floor})
  else()
    covey_test(${floor} 600 covey_test_${floor}_standin)
  endif()
endforeach()

# Tests that must fail, run by tests/unit/runner.c.
covey_test_programs(inner tests/inner/inner.c)
foreach(program covey_test_unit covey_test_unit_standin)
  foreach(inner covey_test_inner covey_test_inner_standin)
    if(TARGET ${program} AND TARGET ${inner})
      add_dependencies(${program} ${inner})
    endif()
  endforeach()
endforeach()

file(GLOB files CONFIGURE_DEPENDS tests/examples/*.c)
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  covey_program(covey_${name} ${file})
  target_link_libraries(covey_${name} PRIVATE covey::covey)
  covey_test(example-${name} 120 covey_${name})
endforeach()

file(GLOB files CONFIGURE_DEPENDS tests/fuzz/*.c)
list(FILTER files EXCLUDE REGEX "/driver[.]c$")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  covey_program(covey_fuzz_${name} ${file} tests/fuzz/driver.c tests/support/model.c)
  target_link_libraries(covey_fuzz_${name} PRIVATE covey_testing)
  covey_test(fuzz-${name} 300 covey_fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(COVEY_FUZZ)
    covey_program(covey_fuzzer_${name} ${file} tests/support/model.c ${covey_sources})
    target_include_directories(covey_fuzzer_${name} PRIVATE include src)
    target_compile_definitions(covey_fuzzer_${name} PRIVATE COVEY_STATIC)
    target_compile_options(covey_fuzzer_${name} PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -O1)
    target_link_options(covey_fuzzer_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
    target_link_libraries(covey_fuzzer_${name} PRIVATE covey::libuv covey::pcre2 ${covey_system_libraries})
  endif()
endforeach()
