# Sourced when a dyno starts.
export PATH="$HOME/bin:$PATH"
if [ -d "$HOME/.heroku/go" ]; then export GOROOT="$HOME/.heroku/go" PATH="$HOME/.heroku/go/bin:$PATH"; fi
if [ -d "$HOME/.heroku/gopath" ]; then export GOPATH="$HOME/.heroku/gopath"; fi
