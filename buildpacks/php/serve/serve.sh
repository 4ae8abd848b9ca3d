# heroku-php-apache2 or heroku-php-nginx [-C FILE] [-F FILE] [-i FILE] [-p PORT] [FOLDER]
# Runs PHP's processes and a web server before them, until one of the two ends. Reads `server`.
set -o errexit -o nounset -o pipefail

usage() {
  cat >&2 <<END
Usage: heroku-php-$server [OPTIONS] [FOLDER]
  -C FILE   put into the web server's settings of this site
  -c FILE   all of the web server's settings, instead of the usual ones
  -F FILE   put into the settings of PHP's processes (php-fpm)
  -i FILE   a php.ini
  -l FILE   a log that is shown, too
  -p PORT   the port, instead of \$PORT
FOLDER is what is served, below the app's own folder: all of it, when left out.
END
  exit "$1"
}

site= site_whole= pool= ini= logs=()
while getopts ":C:c:F:f:i:l:p:vhtL:" option; do
  case $option in
    C) site=$(realpath -e -- "$OPTARG") ;;
    c) site_whole=$(realpath -e -- "$OPTARG") ;;
    F | f) pool=$(realpath -e -- "$OPTARG") ;;
    i) ini=$(realpath -e -- "$OPTARG") ;;
    l) logs+=("$OPTARG") ;;
    p) PORT=$OPTARG ;;
    v | t | L) ;;
    h) usage 0 ;;
    *) usage 2 ;;
  esac
done
shift $((OPTIND - 1))
if ! root=$(realpath -e -- "$HOME/${1:-.}") || [[ ! -d $root ]]; then
  echo "There is no folder ${1@Q} in this app." >&2
  exit 1
fi
export PORT=${PORT:-8080}

work=$(mktemp -d)
socket=$work/php.sock
version=$(<"$HOME/.heroku/php/version")
fpm=$(command -v "php-fpm$version" || echo "/usr/sbin/php-fpm$version")
if [[ ! -x $fpm ]]; then
  echo "This machine has no php-fpm of PHP $version. Its operator can install it: apt-get install php$version-fpm" >&2
  exit 1
fi

# What is said goes through a pipe of our own: the dyno's standard error cannot be opened by its name.
mkfifo "$work/said"
cat <>"$work/said" >&2 &
said_pid=$!

cat >"$work/php-fpm.conf" <<END
[global]
daemonize = no
error_log = $work/said
log_limit = 8192
[web]
listen = $socket
pm = static
pm.max_children = ${WEB_CONCURRENCY:-4}
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
END
if [[ -n $pool ]]; then echo "include = $pool" >>"$work/php-fpm.conf"; fi
if [[ -n $ini ]]; then export PHP_INI_SCAN_DIR=$PHP_INI_SCAN_DIR:$work/ini && mkdir "$work/ini" && cp -- "$ini" "$work/ini/zz-app.ini"; fi

source "$HOME/.heroku/php/$server.sh"

for log in ${logs[@]+"${logs[@]}"}; do
  mkdir -p -- "$(dirname -- "$log")" && touch -- "$log"
  tail -n 0 -F -- "$log" &
done
"$fpm" --nodaemonize --fpm-config "$work/php-fpm.conf" &
php_pid=$!
for ((tries = 0; tries < 500; tries++)); do
  [[ ! -S $socket ]] || break
  kill -0 "$php_pid" 2>/dev/null || break
  sleep 0.02
done
serve &
web_pid=$!
trap 'kill -QUIT "$php_pid" 2>/dev/null; kill -$graceful "$web_pid" 2>/dev/null' TERM INT
status=0
wait -n "$php_pid" "$web_pid" || status=$?
kill "$php_pid" "$web_pid" 2>/dev/null || :
wait "$web_pid" "$php_pid" 2>/dev/null || :
sleep 0.1
kill "$said_pid" 2>/dev/null || :
exit "$status"
