# Instruments everything for libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer, and builds only what targets use.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer)
check_cxx_source_compiles("#include <source_location>
                           std::source_location place = std::source_location::current();
                           extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }"
                          EXPUNGE_HAS_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)
if(NOT EXPUNGE_HAS_LIBFUZZER)
  message(FATAL_ERROR "EXPUNGE_FUZZ needs Clang 16 or later with its run-time library (clang-16, libclang-rt-16-dev, libomp-16-dev)")
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -gline-tables-only -DNDEBUG")
target_compile_options(expunge_settings INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
                                                   -Wno-unknown-pragmas)
target_compile_definitions(expunge_settings INTERFACE EXPUNGE_LIBFUZZER)
target_link_options(expunge_settings INTERFACE -fsanitize=address,undefined)
set_directory_properties(PROPERTIES EXCLUDE_FROM_ALL ON)
