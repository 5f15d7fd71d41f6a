# How our own files are compiled: warnings, sanitizers and the system's feature macros. Nothing of it reaches users of the library.
option(COVEY_WARNINGS "Compile with the project's warnings" ${PROJECT_IS_TOP_LEVEL})
set(COVEY_SANITIZE "" CACHE STRING "Sanitizers for everything in this build: address,undefined or thread")

if(COVEY_SANITIZE)
  add_compile_options(-fsanitize=${COVEY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g)
  add_link_options(-fsanitize=${COVEY_SANITIZE})
endif()

function(covey_compile target)
  target_compile_definitions(${target} PRIVATE
    $<$<PLATFORM_ID:Linux>:_GNU_SOURCE _FILE_OFFSET_BITS=64 _TIME_BITS=64>
    $<$<PLATFORM_ID:Darwin>:_DARWIN_C_SOURCE>
    $<$<PLATFORM_ID:Windows>:_CRT_SECURE_NO_WARNINGS _CRT_NONSTDC_NO_WARNINGS>
    $<$<BOOL:${MINGW}>:__USE_MINGW_ANSI_STDIO=1>)
  if(MSVC)
    target_compile_options(${target} PRIVATE /utf-8)
  endif()
  if(NOT COVEY_WARNINGS)
    return()
  endif()
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /permissive- /we4013)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wvla
      -Wstrict-prototypes -Wmissing-prototypes)
  endif()
  if(WIN32) # UV_ONCE_INIT of newer libuvs lacks a pair of them
    target_compile_options(${target} PRIVATE $<$<C_COMPILER_ID:Clang>:-Wno-missing-braces>)
  endif()
endfunction()
