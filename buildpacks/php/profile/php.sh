# Sourced when a dyno starts.
export PATH="$HOME/.heroku/php/bin:$HOME/vendor/bin:$PATH"
export PHP_INI_SCAN_DIR="$HOME/.heroku/php/conf.d"
# As many PHP processes as fit into the memory, each with its own limit.
if [ -z "${WEB_CONCURRENCY-}" ]; then
  WEB_CONCURRENCY=$(($(available_memory) / 128))
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then WEB_CONCURRENCY=1; fi
fi
export WEB_CONCURRENCY
unset -f available_memory
