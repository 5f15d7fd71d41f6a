# Installation: library, headers, tool, a CMake package (from the install tree and from the build tree) and covey.pc.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(covey_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/covey)

install(TARGETS covey EXPORT coveyTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
if(TARGET covey_cli)
  if(BUILD_SHARED_LIBS) # the tool finds the library beside it, wherever both are put: macOS looks nowhere else for an @rpath
    file(RELATIVE_PATH covey_up /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(covey_cli PROPERTIES INSTALL_RPATH "$<IF:$<PLATFORM_ID:Darwin>,@loader_path,$ORIGIN>/${covey_up}")
  endif()
  install(TARGETS covey_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
endif()

configure_package_config_file(cmake/coveyConfig.cmake.in ${PROJECT_BINARY_DIR}/coveyConfig.cmake
  INSTALL_DESTINATION ${covey_package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/coveyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/coveyDependencies.cmake ${PROJECT_BINARY_DIR}/coveyDependencies.cmake COPYONLY)
install(FILES ${PROJECT_BINARY_DIR}/coveyConfig.cmake ${PROJECT_BINARY_DIR}/coveyConfigVersion.cmake
  DESTINATION ${covey_package_dir} COMPONENT dev)
if(NOT BUILD_SHARED_LIBS)
  install(FILES cmake/coveyDependencies.cmake DESTINATION ${covey_package_dir} COMPONENT dev)
endif()
foreach(component runtime dev) # whoever packages one of them without the other ships its licence too
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/covey COMPONENT ${component})
endforeach()
install(EXPORT coveyTargets NAMESPACE covey:: DESTINATION ${covey_package_dir} COMPONENT dev)
export(EXPORT coveyTargets NAMESPACE covey:: FILE ${PROJECT_BINARY_DIR}/coveyTargets.cmake)

set(covey_pc_libs "")
foreach(library ${covey_system_libraries})
  if(library STREQUAL "Threads::Threads")
    string(APPEND covey_pc_libs " ${CMAKE_THREAD_LIBS_INIT}")
  else()
    string(APPEND covey_pc_libs " -l${library}")
  endif()
endforeach()
# What the static library stands on its users link, whether they say --static or not: there is nothing else to link.
if(BUILD_SHARED_LIBS)
  set(covey_pc_cflags "")
  set(covey_pc_private ".private")
  set(covey_pc_public_libs "")
  set(covey_pc_private_libs "${covey_pc_libs}")
else()
  set(covey_pc_cflags -DCOVEY_STATIC)
  set(covey_pc_private "")
  set(covey_pc_public_libs "${covey_pc_libs}")
  set(covey_pc_private_libs "")
endif()
file(RELATIVE_PATH covey_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" covey_pc_prefix "${covey_pc_prefix}")
configure_file(cmake/covey.pc.in ${PROJECT_BINARY_DIR}/covey.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/covey.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
