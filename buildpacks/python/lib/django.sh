# Django keeps its static files together in one folder; that is done here, once for all dynos.

collect_static() {
  local manage
  [[ -n $(find "$python_home"/lib/python*/site-packages -maxdepth 1 -iname django -print -quit 2>/dev/null) ]] || return 0
  manage=$(find . -maxdepth 3 -name manage.py -not -path './.heroku/*' -printf '%d %P\n' | sort -n | head -n 1 | cut -d ' ' -f 2-)
  [[ -n $manage ]] || return 0
  if [[ -n $(config DISABLE_COLLECTSTATIC) && $(config DISABLE_COLLECTSTATIC) != 0 ]]; then
    header "Skipping Django collectstatic since the config var DISABLE_COLLECTSTATIC is set"
    return 0
  fi
  header "Running Django collectstatic"
  line "\$ python $manage collectstatic --noinput"
  run env PYTHONPATH="$BUILD${PYTHONPATH:+:$PYTHONPATH}" python "$manage" collectstatic --noinput --traceback ||
    fail "The app's static files could not be collected; what Django says of it stands above." \
      $'\nIf the app has none, or collects them otherwise: stator config:set DISABLE_COLLECTSTATIC=1'
}
