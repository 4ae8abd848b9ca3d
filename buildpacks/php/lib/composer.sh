# The app's packages, in vendor.

manifest=
lock=

check_composer_files() {
  manifest=$(config COMPOSER composer.json)
  lock=${manifest%.json}.lock
  [[ -f $manifest ]] || return 0
  jq -e . "$manifest" >/dev/null 2>&1 || fail "$manifest is not valid JSON."
  if [[ ! -f $lock && -n $(jq -r '.require // {} | keys[] | select(test("/"))' "$manifest") ]]; then
    fail "There is a $manifest, but no $lock, so the build would not be reproducible." \
      $'\nMake one and commit it: composer update && git add '"$lock"
  fi
  if [[ -f $lock ]]; then
    jq -e . "$lock" >/dev/null 2>&1 || fail "$lock is not valid JSON."
  fi
}

install_packages() {
  [[ -f $manifest ]] || return 0
  has composer || fail "There is no Composer on this machine." $'\nIts operator can install it: apt-get install composer'
  export COMPOSER=$manifest COMPOSER_HOME=$CACHE/composer-home COMPOSER_CACHE_DIR=$CACHE/composer
  export COMPOSER_NO_INTERACTION=1 COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_MIRROR_PATH_REPOS=1
  if [[ -n $(config COMPOSER_GITHUB_OAUTH_TOKEN) && -z $(config COMPOSER_AUTH) ]]; then
    COMPOSER_AUTH=$(jq -n --rawfile token "$ENVIRONMENT/COMPOSER_GITHUB_OAUTH_TOKEN" '{"github-oauth": {"github.com": $token}}')
    export COMPOSER_AUTH
  fi
  if [[ -d $COMPOSER_CACHE_DIR ]]; then line "Using Composer's packages from the cache"; else line "No cache yet."; fi
  header "Installing dependencies using Composer"
  must composer install --no-dev --prefer-dist --optimize-autoloader --no-progress
}

run_compile_script() {
  if [[ -f $manifest && $(jq -r '.scripts.compile // empty' "$manifest") ]]; then
    header "Running the script \`compile\` of $manifest"
    must composer run-script --no-dev compile
  fi
}

# What a Procfile calls is asked for now: when a dyno starts it would be too late. `STACK_SBIN` is for tests.
check_servers() {
  local server programs=${STACK_SBIN:-/usr/sbin} version
  version=$(<"$php_home/version")
  for server in $(grep -o -E 'heroku-php-(apache2|nginx)' "${1:-/dev/null}" | sort -u || :); do
    server=${server#heroku-php-}
    [[ -x $programs/php-fpm$version ]] ||
      fail "heroku-php-$server needs php-fpm of PHP $version, which this machine does not have." \
        $'\nIts operator can install it: apt-get install php'"$version"'-fpm'
    [[ -x $programs/$server ]] || case $server in
      apache2)
        fail "This machine has no Apache for heroku-php-apache2." \
          $'\nIts operator can install it: apt-get install apache2-bin; or the Procfile has: web: heroku-php-nginx'
        ;;
      nginx)
        fail "This machine has no nginx for heroku-php-nginx." \
          $'\nIts operator can install it: apt-get install nginx && systemctl disable --now nginx; or the Procfile has: web: heroku-php-apache2'
        ;;
    esac
  done
}

# What a Procfile calls; older apps look for them among Composer's programs.
install_servers() {
  local server
  mkdir -p vendor/bin
  cp -- "$buildpack"/serve/{serve.sh,apache2.sh,nginx.sh} "$php_home/"
  for server in apache2 nginx; do
    printf '#!/usr/bin/env bash\nserver=%s\nsource "$HOME/.heroku/php/serve.sh"\n' "$server" >"$php_home/bin/heroku-php-$server"
    chmod +x "$php_home/bin/heroku-php-$server"
    if [[ ! -e vendor/bin/heroku-php-$server ]]; then
      ln -s "../../.heroku/php/bin/heroku-php-$server" "vendor/bin/heroku-php-$server"
    fi
  done
}
