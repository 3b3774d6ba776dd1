# SPDX-License-Identifier: Apache-2.0
#
# cmake -DAR=ar -DFROM=library -DTO=library -P without_builtins.cmake
#
# Copies a static library of Rust without compiler_builtins, unless it was copied before. Does not compare times: when
# options are set back, Cargo takes an older library out of its cache.

file(SHA256 ${FROM} hash)
if(EXISTS ${TO} AND EXISTS ${TO}.sha256)
  file(READ ${TO}.sha256 copied)
  if(copied STREQUAL hash)
    return()
  endif()
endif()
# The copy gets its name when it is complete.
set(copy ${TO}.new)
configure_file(${FROM} ${copy} COPYONLY)
execute_process(COMMAND ${AR} t ${copy} OUTPUT_VARIABLE members COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "compiler_builtins-[^\n]+" builtins "${members}")
if(builtins)
  execute_process(COMMAND ${AR} d ${copy} ${builtins} COMMAND_ERROR_IS_FATAL ANY)
endif()
# Forces linking, although the library may be older than the program.
file(TOUCH ${copy})
file(RENAME ${copy} ${TO})
file(WRITE ${TO}.sha256 ${hash})
