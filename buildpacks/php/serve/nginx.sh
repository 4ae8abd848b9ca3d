# nginx's settings for this dyno, and how it is started. Sourced by serve.sh.
graceful=QUIT
{
  cat <<END
daemon off;
worker_processes 2;
error_log stderr;
pid $work/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  server_tokens off;
  client_max_body_size 32m;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  types_hash_max_size 8192;
  map \$http_x_forwarded_proto \$php_https { default ""; https on; }
  types {
END
  # The first kind that names an ending has it.
  awk '!/^#/ { kind = $1; ends = ""; for (i = 2; i <= NF; i++) if (!seen[$i]++) ends = ends " " $i; if (ends) print "    " kind ends ";" }' \
    /etc/mime.types 2>/dev/null || :
  cat <<END
  }
  server {
    listen $PORT;
    server_name _;
    absolute_redirect off;
    root "$root";
    index index.php index.html index.htm;
END
  if [[ -n $site ]]; then echo "    include \"$site\";"; fi
  cat <<END
    location ~ /\.(?!well-known(/|\$)) { return 404; }
    location ~ \.php(/|\$) {
      fastcgi_split_path_info ^(.+?\.php)(/.*)\$;
      try_files \$fastcgi_script_name =404;
      fastcgi_pass unix:$socket;
      fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
      fastcgi_param SCRIPT_NAME \$fastcgi_script_name;
      fastcgi_param PATH_INFO \$fastcgi_path_info;
      fastcgi_param DOCUMENT_ROOT \$document_root;
      fastcgi_param DOCUMENT_URI \$document_uri;
      fastcgi_param REQUEST_URI \$request_uri;
      fastcgi_param REQUEST_METHOD \$request_method;
      fastcgi_param REQUEST_SCHEME \$scheme;
      fastcgi_param QUERY_STRING \$query_string;
      fastcgi_param CONTENT_TYPE \$content_type;
      fastcgi_param CONTENT_LENGTH \$content_length;
      fastcgi_param SERVER_PROTOCOL \$server_protocol;
      fastcgi_param SERVER_NAME \$host;
      fastcgi_param SERVER_ADDR \$server_addr;
      fastcgi_param SERVER_PORT \$server_port;
      fastcgi_param REMOTE_ADDR \$remote_addr;
      fastcgi_param REMOTE_PORT \$remote_port;
      fastcgi_param GATEWAY_INTERFACE CGI/1.1;
      fastcgi_param HTTPS \$php_https if_not_empty;
    }
  }
}
END
} >"$work/site.conf"

serve() { exec /usr/sbin/nginx -p "$work" -e stderr -c "${site_whole:-$work/site.conf}"; }
if [[ ! -x /usr/sbin/nginx ]]; then
  echo "This machine has no nginx. Its operator can install it: apt-get install nginx-light; or use heroku-php-apache2." >&2
  exit 1
fi
