# Apache's settings for this dyno, and how it is started. Sourced by serve.sh.
graceful=WINCH
modules=/usr/lib/apache2/modules
{
  for name in mpm_event alias authz_core authz_host deflate dir env expires filter headers mime negotiation proxy proxy_fcgi \
    reqtimeout rewrite setenvif; do
    if [[ -f $modules/mod_$name.so ]]; then echo "LoadModule ${name}_module $modules/mod_$name.so"; fi
  done
  cat <<END
ServerRoot "$work"
DefaultRuntimeDir "$work"
PidFile "$work/apache2.pid"
Mutex posixsem
Listen $PORT
ServerName localhost
ServerTokens Prod
ErrorLog "|/bin/cat"
ErrorLogFormat "[%l] %M"
TypesConfig /etc/mime.types
DocumentRoot "$root"
DirectoryIndex index.php index.html index.htm
SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on
<Directory "/">
  AllowOverride None
  Require all denied
</Directory>
<Directory "$HOME">
  Options FollowSymLinks
  AllowOverride All
  Require all granted
  CGIPassAuth On
</Directory>
RedirectMatch 404 "/\.(?!well-known(/|$))"
<FilesMatch "\.php$">
  <If "-f %{REQUEST_FILENAME}">
    SetHandler "proxy:unix:$socket|fcgi://php"
  </If>
</FilesMatch>
END
  if [[ -n $site ]]; then echo "Include \"$site\""; fi
} >"$work/site.conf"

serve() { exec /usr/sbin/apache2 -D FOREGROUND -f "${site_whole:-$work/site.conf}"; }
if [[ ! -x /usr/sbin/apache2 ]]; then
  echo "This machine has no Apache. Its operator can install it: apt-get install apache2-bin; or use heroku-php-nginx." >&2
  exit 1
fi
