# Which GPUs the CUDA parts are compiled for. DEFAULT is short, so that a first build is quick: the GPU of this machine,
# or, where there is none to ask, machine code for Hopper and PTX of compute capability 8.0, which every GPU since
# Ampere can run (the driver compiles it at the first call). RELEASE holds machine code for all that the project names.
set(release_architectures 80-real 86-real 89-real 90-real 90-virtual)
if(LAYER_FAST_CUDA_ARCHITECTURES STREQUAL "RELEASE")
  set(CMAKE_CUDA_ARCHITECTURES ${release_architectures})
elseif(LAYER_FAST_CUDA_ARCHITECTURES STREQUAL "DEFAULT")
  set(CMAKE_CUDA_ARCHITECTURES 80-virtual 90-real)
  find_program(nvidia_smi nvidia-smi)
  if(nvidia_smi)
    execute_process(COMMAND "${nvidia_smi}" --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE capabilities RESULT_VARIABLE asked ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
    list(REMOVE_DUPLICATES capabilities)
    if(asked EQUAL 0 AND capabilities)
      set(CMAKE_CUDA_ARCHITECTURES)
      foreach(capability IN LISTS capabilities)
        string(REPLACE "." "" number "${capability}")
        list(APPEND CMAKE_CUDA_ARCHITECTURES ${number}) # machine code and PTX
      endforeach()
    endif()
  endif()
else()
  set(CMAKE_CUDA_ARCHITECTURES ${LAYER_FAST_CUDA_ARCHITECTURES})
endif()
message(STATUS "layer_fast: CUDA architectures ${CMAKE_CUDA_ARCHITECTURES}")
