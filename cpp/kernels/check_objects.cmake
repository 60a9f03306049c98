# cmake -DNM=nm -DOBJECTS=a.o,b.o -P check_objects.cmake
# A weak symbol of a kernel object (an inline function, a template) could be taken by the linker for code that is meant
# for every CPU. Kernels export their table and nothing else that others may define as well.
string(REPLACE "," ";" objects "${OBJECTS}")
foreach(object IN LISTS objects)
  execute_process(COMMAND "${NM}" -C --defined-only "${object}" OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "nm cannot read ${object}")
  endif()
  string(REGEX MATCHALL "[^\n]* [WVuwv] [^\n]*" weak "${symbols}")
  if(weak)
    message(FATAL_ERROR "weak symbols in a kernel object, ${object}:\n${weak}")
  endif()
endforeach()
