# `cmake --install`: headers, library, find_package(artcache), pkg-config, programs.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/artcache)
install(TARGETS artcache EXPORT artcache-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/artcache DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(EXPORT artcache-targets NAMESPACE artcache:: DESTINATION ${package_dir})

configure_package_config_file(cmake/artcache-config.cmake.in
  ${PROJECT_BINARY_DIR}/artcache-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/artcache-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/artcache-config.cmake
  ${PROJECT_BINARY_DIR}/artcache-config-version.cmake DESTINATION ${package_dir})

configure_file(cmake/artcache.pc.in ${PROJECT_BINARY_DIR}/artcache.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/artcache.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET artcache_program)
  install(TARGETS artcache_program DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
