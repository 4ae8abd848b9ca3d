# Sourced when a dyno starts: how many web processes fit into its memory, in MB.
# Reads the limit of the control group, version 1 or 2. Without a limit (version 2 says "max",
# version 1 an absurdly large number) it counts on 512 MB, the size of a standard dyno.
detect_memory() {
  limit=
  for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
    if [ -r "$file" ]; then
      limit=$(cat "$file")
      break
    fi
  done
  case "$limit" in
    "" | *[!0-9]*) echo 512 ;;
    ????????????????*) echo 512 ;;
    *) echo $((limit / 1048576)) ;;
  esac
  unset limit file
}

positive_or() {
  case "$1" in
    "" | 0 | *[!0-9]*) echo "$2" ;;
    *) echo "$1" ;;
  esac
}

MEMORY_AVAILABLE=${MEMORY_AVAILABLE-$(detect_memory)}
WEB_MEMORY=${WEB_MEMORY-512}

if [ -z "${WEB_CONCURRENCY-}" ]; then
  WEB_CONCURRENCY=$(($(positive_or "$MEMORY_AVAILABLE" 512) / $(positive_or "$WEB_MEMORY" 512)))
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then
    WEB_CONCURRENCY=1
  elif [ "$WEB_CONCURRENCY" -gt 200 ]; then
    WEB_CONCURRENCY=200
  fi
fi
export MEMORY_AVAILABLE WEB_MEMORY WEB_CONCURRENCY

if [ "${LOG_CONCURRENCY-}" = "true" ]; then
  echo "Detected $MEMORY_AVAILABLE MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)"
  echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY"
fi
