# Sourced when a dyno starts: the app's own Node.js and tools come first.
# Folders that this build did not make are left out, so a stack's node is found as ever.
for folder in node_modules/.bin .heroku/node/bin .heroku/npm/bin .heroku/yarn/bin .heroku/pnpm/bin .heroku/bun/bin; do
  if [ -d "$HOME/$folder" ]; then PATH="$HOME/$folder:$PATH"; fi
done
unset folder
export PATH
if [ -d "$HOME/.heroku/node" ]; then export NODE_HOME="$HOME/.heroku/node"; fi
export NODE_ENV="${NODE_ENV-production}"
