# Assets are compiled once, here, for all dynos.

precompile_assets() {
  local tasks manifest
  save=(vendor/bundle)
  for manifest in public/assets/{.sprockets-manifest-*,manifest-*,.manifest}.json public/assets/manifest.yml; do
    if [[ -f $manifest && ! -e $CACHE/folders/$manifest ]]; then
      header "Assets are in the app already ($manifest): not compiled"
      save_cache "$(gems_signature)" "${save[@]}"
      return
    fi
  done
  if has_gem rake && [[ -n $(find . -maxdepth 1 -iname 'rakefile*' -print -quit) ]]; then
    set_rails_environment
    if ! tasks=$(bundle exec rake -P 2>"$CACHE/rake-said"); then
      sed 's/^/       /' "$CACHE/rake-said"
      if has_gem railties; then fail "\`rake -P\` failed: the app can't be loaded; what Ruby says of it stands above."; fi
      warn "\`rake -P\` failed, so no assets are compiled."
      tasks=
    fi
    rm -f -- "$CACHE/rake-said"
    if grep -q -x "rake assets:precompile" <<<"$tasks"; then
      if has_gem execjs && ! has node; then
        warn "The gem execjs needs Node.js: stator buildpacks:add -i 1 heroku/nodejs"
      fi
      header "Preparing the app's assets"
      line "\$ rake assets:precompile"
      must bundle exec rake assets:precompile
      if grep -q -x "rake assets:clean" <<<"$tasks"; then must bundle exec rake assets:clean; fi
      save+=(public/assets tmp/cache/assets)
    fi
  fi
  save_cache "$(gems_signature)" "${save[@]}"
  rm -rf tmp/cache/assets
}

# Rails wants a secret and a database also where it needs neither.
set_rails_environment() {
  local adapter=
  has_gem railties || return 0
  export SECRET_KEY_BASE=${SECRET_KEY_BASE:-$(app_secret)}
  export RAILS_SERVE_STATIC_FILES=${RAILS_SERVE_STATIC_FILES:-enabled} RAILS_LOG_TO_STDOUT=${RAILS_LOG_TO_STDOUT:-enabled}
  if has_gem pg; then adapter=postgres; elif has_gem mysql2; then adapter=mysql2; fi
  if [[ -z ${DATABASE_URL:-} && -n $adapter ]]; then export DATABASE_URL=$adapter://user:password@127.0.0.1/nothing; fi
}

# Made once for an app, and kept with its cache.
app_secret() {
  if [[ ! -s $CACHE/secret-key-base ]]; then
    (umask 077 && head -c 64 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$CACHE/secret-key-base")
  fi
  cat -- "$CACHE/secret-key-base"
}

write_secret() {
  if has_gem railties; then
    printf 'export SECRET_KEY_BASE="${SECRET_KEY_BASE:-%s}"\n' "$(app_secret)" >.profile.d/ruby-secret.sh
  fi
}
