# How everything of artcache is compiled: one function, called for every target of ours.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(Threads REQUIRED)
if(PROJECT_IS_TOP_LEVEL)
  find_program(ARTCACHE_CCACHE ccache)
  if(ARTCACHE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ARTCACHE_CCACHE})
  endif()
endif()

function(artcache_compile target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Woverloaded-virtual -Wimplicit-fallthrough
    $<$<BOOL:${ARTCACHE_WERROR}>:-Werror>
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
  if(ARTCACHE_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=${ARTCACHE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${ARTCACHE_SANITIZE})
  endif()
endfunction()

# artcache_require(<what> <package> <reason>): a package that is missing is one clear line.
macro(artcache_require what found reason)
  if(NOT ${found})
    message(FATAL_ERROR "artcache: ${what} is missing (${reason}). Run scripts/setup, which "
                        "installs everything, or scripts/setup --check to see what is missing.")
  endif()
endmacro()
