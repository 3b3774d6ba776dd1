# SPDX-License-Identifier: Apache-2.0
#
# cmake -DAR=ar -DFROM=library -DTO=library -P without_builtins.cmake
#
# Copies a static library of Rust's, leaving out compiler_builtins, if it is newer than the copy.

if(NOT ${FROM} IS_NEWER_THAN ${TO})
  return()
endif()
# The copy appears when it is complete.
set(copy ${TO}.new)
configure_file(${FROM} ${copy} COPYONLY)
execute_process(COMMAND ${AR} t ${copy} OUTPUT_VARIABLE members COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "compiler_builtins-[^\n]+" builtins "${members}")
if(builtins)
  execute_process(COMMAND ${AR} d ${copy} ${builtins} COMMAND_ERROR_IS_FATAL ANY)
endif()
file(RENAME ${copy} ${TO})
