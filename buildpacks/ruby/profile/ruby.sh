# Sourced when a dyno starts.
export LANG="${LANG-C.UTF-8}"
export PATH="$HOME/bin:$HOME/vendor/bundle/bin:$HOME/.heroku/ruby/bin:$PATH"
export BUNDLE_GEMFILE="${BUNDLE_GEMFILE-$HOME/Gemfile}" BUNDLE_PATH="$HOME/vendor/bundle"
export BUNDLE_DEPLOYMENT=1 BUNDLE_GLOBAL_PATH_APPENDS_RUBY_SCOPE=1 BUNDLE_WITHOUT="${BUNDLE_WITHOUT-development:test}"
export RACK_ENV="${RACK_ENV-production}" RAILS_ENV="${RAILS_ENV-production}"
export RAILS_SERVE_STATIC_FILES="${RAILS_SERVE_STATIC_FILES-enabled}" RAILS_LOG_TO_STDOUT="${RAILS_LOG_TO_STDOUT-enabled}"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX-2}"
# Longer than the router keeps an idle connection.
export PUMA_PERSISTENT_TIMEOUT="${PUMA_PERSISTENT_TIMEOUT-95}"
if [ -n "${SENSIBLE_DEFAULTS-}" ]; then
  by_memory=$(($(available_memory) / 256))
  if [ "$by_memory" -lt 1 ]; then by_memory=1; fi
  export WEB_CONCURRENCY="${WEB_CONCURRENCY-$by_memory}" RAILS_MAX_THREADS="${RAILS_MAX_THREADS-5}"
  unset by_memory
fi
unset -f available_memory
