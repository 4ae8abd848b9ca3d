# PHP is the stack's: of those that it has, the newest with which Composer is content.

php_home=
php=

provide_php() {
  local candidate
  php_home=$BUILD/.heroku/php
  rm -rf -- "$php_home"
  export PATH=$php_home/bin:$PATH
  for candidate in $(find /usr/bin /usr/local/bin -maxdepth 1 -name 'php[0-9]*.[0-9]*' -executable | sort -t p -k 4 -V -r) "$(command -v php || :)"; do
    [[ -n $candidate ]] || continue
    php=$candidate
    write_extensions
    write_programs
    if platform_fits; then break; fi
    php=
  done
  if [[ -z $php ]]; then
    candidate=$(compgen -c php | grep -x 'php[0-9.]*' | sort -Vu | paste -sd ' ' || :)
    if [[ -z $candidate ]]; then
      fail "There is no PHP on this machine." $'\nIts operator can install one: apt-get install php-cli php-fpm composer'
    fi
    [[ ! -s $CACHE/platform ]] || sed 's/^/       /' "$CACHE/platform"
    fail "None of this machine's PHPs ($candidate) has what the app asks for; what Composer says of it stands above." \
      $'\nIts operator can install another one, or an extension: apt-get install php-NAME'
  fi
  header "Using PHP $("$php" -r 'echo PHP_VERSION;') of the stack"
  line "Extensions: $("$php" -m | grep -v -e '^\[' -e '^$' | sort -fu | paste -sd ' ')"
  printf '%s' "$("$php" -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')" >"$php_home/version"
}

# Settings of the machine's own are not in a build: each extension that it has is switched on here.
write_extensions() {
  local folder file name rank directive
  rm -rf -- "$php_home"
  mkdir -p "$php_home/conf.d"
  export PHP_INI_SCAN_DIR=$php_home/conf.d
  folder=$("$php" -n -r 'echo PHP_EXTENSION_DIR;')
  for file in "$folder"/*.so; do
    name=${file##*/} name=${name%.so} directive=extension
    case $name in
      # Others are built upon these.
      mysqlnd | pdo) rank=10 ;;
      xml | dom | igbinary | msgpack | psr) rank=15 ;;
      opcache) rank=10 directive=zend_extension ;;
      # Debuggers slow down all that runs.
      xdebug | pcov) continue ;;
      *) rank=20 ;;
    esac
    printf '%s=%s\n' "$directive" "$name" >"$php_home/conf.d/$rank-$name.ini"
  done
  cat -- "$buildpack/serve/php.ini" >"$php_home/conf.d/00-defaults.ini"
}

# `php` and `composer` are of this PHP for all that the build and the dyno start.
write_programs() {
  local program
  mkdir -p "$php_home/bin"
  ln -sfn -- "$php" "$php_home/bin/php"
  if program=$(type -ap composer | grep -v -F -- "$php_home/" | head -n 1) && [[ -n $program ]]; then
    printf '#!/bin/sh\nexec %q %q --no-ansi "$@"\n' "$php" "$program" >"$php_home/bin/composer"
    chmod +x "$php_home/bin/composer"
  fi
}

# Whether PHP and its extensions are those that the lock file asks for.
platform_fits() {
  [[ -f $lock ]] && [[ -x $php_home/bin/composer ]] || return 0
  COMPOSER_HOME=$CACHE/composer-home COMPOSER=$manifest "$php_home/bin/composer" check-platform-reqs --lock --no-dev >"$CACHE/platform" 2>&1
}
