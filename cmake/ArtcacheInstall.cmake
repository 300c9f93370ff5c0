# `cmake --install`: headers, library, find_package(artcache), pkg-config, programs.
# Below another project it installs nothing, unless that project says so.
option(ARTCACHE_INSTALL "Make rules for cmake --install" ${PROJECT_IS_TOP_LEVEL})
if(NOT ARTCACHE_INSTALL)
  return()
endif()
include(CMakePackageConfigHelpers)

# A program that links the static library links what that was linked to. This is read off the
# target, so that adding a library to src/CMakeLists.txt is enough; what is not explained here stops
# the configuration instead of a user's build.
get_target_property(unexplained artcache LINK_LIBRARIES)
list(REMOVE_DUPLICATES unexplained)
set(find_dependencies "")
set(pkgconfig_requires "")
set(pkgconfig_libs "")

# artcache_explain(<library> <lines of artcache-config.cmake> <pkg-config module, or a flag>)
macro(artcache_explain library config_lines pkgconfig)
  if("${library}" IN_LIST unexplained)
    list(REMOVE_ITEM unexplained "${library}")
    list(APPEND find_dependencies "${config_lines}")
    if("${pkgconfig}" MATCHES "^-")
      list(APPEND pkgconfig_libs "${pkgconfig}")
    elseif(NOT "${pkgconfig}" STREQUAL "")
      list(APPEND pkgconfig_requires "${pkgconfig}")
    endif()
  endif()
endmacro()
macro(artcache_explain_pkgconfig name module)
  artcache_explain(PkgConfig::${name} "find_dependency(PkgConfig)
pkg_check_modules(${name} REQUIRED QUIET IMPORTED_TARGET ${module})" ${module})
endmacro()
artcache_explain(Threads::Threads "find_dependency(Threads)" -pthread)
artcache_explain(OpenSSL::Crypto "find_dependency(OpenSSL 3)" libcrypto)
artcache_explain(OpenSSL::SSL "find_dependency(OpenSSL 3)" libssl)
artcache_explain(Boost::headers "find_dependency(Boost 1.81)" "")
artcache_explain(Boost::boost "find_dependency(Boost 1.81)" "")
artcache_explain(Boost::json "find_dependency(Boost 1.81 COMPONENTS json)" -lboost_json)
artcache_explain(SQLite::SQLite3 "find_dependency(SQLite3)" sqlite3)
artcache_explain(PostgreSQL::PostgreSQL "find_dependency(PostgreSQL)" libpq)
artcache_explain(CURL::libcurl "find_dependency(CURL)" libcurl)
artcache_explain(fmt::fmt "find_dependency(fmt)" fmt)
artcache_explain(fmt::fmt-header-only "find_dependency(fmt)" "")
artcache_explain(pugixml::pugixml "find_dependency(pugixml)" pugixml)
artcache_explain(pugixml "find_dependency(pugixml)" pugixml)
artcache_explain(stemmer "" -lstemmer)
artcache_explain(hiredis "" hiredis)
artcache_explain(zstd "" libzstd)
artcache_explain(lz4 "" liblz4)
artcache_explain_pkgconfig(HIREDIS hiredis)
artcache_explain_pkgconfig(ZSTD libzstd)
artcache_explain_pkgconfig(LZ4 liblz4)

# What artcache brings itself is exported, and $<BUILD_INTERFACE:…> never leaves the build.
foreach(library IN LISTS unexplained)
  set(imported FALSE)
  if(TARGET ${library})
    get_target_property(imported ${library} IMPORTED)
  endif()
  if((TARGET ${library} AND NOT imported) OR library MATCHES "^\\$<BUILD_INTERFACE:")
    continue()
  endif()
  message(FATAL_ERROR "artcache: the library links ${library}, but nobody told how a user finds "
                      "it: add a line to cmake/ArtcacheInstall.cmake.")
endforeach()
list(REMOVE_DUPLICATES find_dependencies)
list(JOIN find_dependencies "\n" find_dependencies)
list(JOIN pkgconfig_requires " " pkgconfig_requires)
list(JOIN pkgconfig_libs " " pkgconfig_libs)

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

# The prefix is told relative to the file: it is chosen at installation and may move afterwards.
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pkgconfig_prefix ${CMAKE_INSTALL_PREFIX})
  set(pkgconfig_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pkgconfig_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH pkgconfig_prefix /${pkgconfig_dir} /)
  string(REGEX REPLACE "/$" "" pkgconfig_prefix "\${pcfiledir}/${pkgconfig_prefix}")
  set(pkgconfig_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pkgconfig_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/artcache.pc.in ${PROJECT_BINARY_DIR}/artcache.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/artcache.pc DESTINATION ${pkgconfig_dir})
if(TARGET artcache_program)
  install(TARGETS artcache_program artcached DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES packaging/artcached.toml packaging/artcached.service
    packaging/artcached.logrotate
    packaging/prometheus/artcache-sync.rules.yml
    packaging/prometheus/artcache-roles.rules.yml packaging/grafana/artcache-sync.json
    DESTINATION ${CMAKE_INSTALL_DATADIR}/artcache)

  # Man pages and completion say what the programs say of themselves, so they have to run here.
  find_package(Python3 3.9 QUIET COMPONENTS Interpreter)
  if(Python3_FOUND AND NOT CMAKE_CROSSCOMPILING)
    set(pages ${PROJECT_BINARY_DIR}/pages)
    set(page_files "")
    foreach(program artcache artcached)
      list(APPEND page_files ${pages}/${program}.1 ${pages}/${program}.bash ${pages}/_${program})
      install(FILES ${pages}/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
      install(FILES ${pages}/${program}.bash RENAME ${program}
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
      install(FILES ${pages}/_${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    endforeach()
    add_custom_command(OUTPUT ${page_files}
      COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/packaging/help_pages.py ${pages}
              $<TARGET_FILE:artcache_program> $<TARGET_FILE:artcached>
      DEPENDS artcache_program artcached ${PROJECT_SOURCE_DIR}/packaging/help_pages.py
      COMMENT "Man pages and shell completion" VERBATIM)
    add_custom_target(artcache_pages ALL DEPENDS ${page_files})
  endif()
endif()
