# Sourced when a dyno starts.
export PATH="$HOME/.heroku/clojure/bin:$PATH"
export LEIN_NO_DEV="${LEIN_NO_DEV-yes}"
export RING_ENV="${RING_ENV-production}"
