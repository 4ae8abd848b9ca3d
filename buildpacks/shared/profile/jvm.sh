# Sourced when a dyno starts.
export PATH="$JAVA_HOME/bin:$PATH"
# The heap is what Heroku lets dynos of 512 MB, 1 GB and more have; the rest is for code, threads and buffers.
# Who sets its size himself knows better.
memory_options=
case " ${JAVA_OPTS-} ${JAVA_TOOL_OPTIONS-}" in
  *" -Xmx"* | *" -XX:MaxRAM"*) ;;
  *)
    memory_mb=$(available_memory)
    if [ "$memory_mb" -le 512 ]; then
      memory_options="-Xmx$((memory_mb * 300 / 512))m -Xss512k -XX:CICompilerCount=2 "
    elif [ "$memory_mb" -le 1024 ]; then
      memory_options="-Xmx$((memory_mb * 671 / 1024))m -XX:CICompilerCount=2 "
    else
      memory_options="-Xmx$((memory_mb * 4 / 5))m "
    fi
    unset memory_mb
    ;;
esac
export JAVA_OPTS="$memory_options-Dfile.encoding=UTF-8${JAVA_OPTS:+ $JAVA_OPTS}"
export JAVA_TOOL_OPTIONS="$memory_options-Dfile.encoding=UTF-8${JAVA_TOOL_OPTIONS:+ $JAVA_TOOL_OPTIONS}"
unset memory_options
unset -f available_memory
