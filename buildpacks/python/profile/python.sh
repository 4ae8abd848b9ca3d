# Sourced when a dyno starts.
export PATH="$HOME/.heroku/python/bin:$PATH"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED-1}"
export LANG="${LANG-C.UTF-8}"
export PYTHONPATH="${PYTHONPATH-$HOME}"
# A runtime of the app's own knows where it is; of the stack's, only the packages are here.
if [ ! -e "$HOME/.heroku/python/pyvenv.cfg" ]; then export PYTHONHOME="$HOME/.heroku/python"; fi
# The router is the only one that reaches a dyno, so what it says of the client is true.
export FORWARDED_ALLOW_IPS="${FORWARDED_ALLOW_IPS-*}"
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS---access-logfile -}"
# As many web processes as keep the processors busy and fit into the memory, at 256 MB each.
if [ -z "${WEB_CONCURRENCY-}" ]; then
  WEB_CONCURRENCY=$(($(nproc) * 2 + 1))
  by_memory=$(($(available_memory) / 256))
  if [ "$by_memory" -lt "$WEB_CONCURRENCY" ]; then WEB_CONCURRENCY=$by_memory; fi
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then WEB_CONCURRENCY=1; fi
  unset by_memory
fi
export WEB_CONCURRENCY
unset -f available_memory
