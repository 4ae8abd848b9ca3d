# How many MB this dyno may have: the limit of its control group, version 1 or 2. Without a limit (2 says
# "max", 1 an absurdly large number) it is 512, the size of a standard dyno.
available_memory() {
  local limit='' file
  for file in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do
    if [ -r "$file" ]; then
      limit=$(cat "$file")
      break
    fi
  done
  case "$limit" in
    "" | *[!0-9]* | ????????????????*) echo 512 ;;
    *) echo $((limit / 1048576)) ;;
  esac
}
