# SPDX-License-Identifier: Apache-2.0

# wss_test_certificate(directory): generates cert.pem, self-signed for localhost, and key.pem in a directory, and both
# in DER, unless they exist.
function(wss_test_certificate directory)
  if(EXISTS ${directory}/key.der)
    return()
  endif()
  find_program(OPENSSL openssl)
  if(NOT OPENSSL)
    message(FATAL_ERROR "A certificate for tests needs openssl: apt install openssl")
  endif()
  file(MAKE_DIRECTORY ${directory})
  foreach(command
      "req;-x509;-newkey;ec;-pkeyopt;ec_paramgen_curve:prime256v1;-nodes;-sha256;-days;3650;-subj;/CN=localhost\
;-addext;subjectAltName=DNS:localhost,IP:127.0.0.1,IP:192.0.2.1;-keyout;key.pem;-out;cert.pem"
      "x509;-in;cert.pem;-outform;DER;-out;cert.der"
      "ec;-in;key.pem;-outform;DER;-out;key.der")
    execute_process(COMMAND ${OPENSSL} ${command} WORKING_DIRECTORY ${directory} RESULT_VARIABLE status
      OUTPUT_QUIET ERROR_VARIABLE errors)
    if(status)
      message(FATAL_ERROR "openssl: ${errors}")
    endif()
  endforeach()
endfunction()
