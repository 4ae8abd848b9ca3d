# Installing what the app needs, into .heroku/python.

signature=

restore_dependencies() {
  header "Restoring cache"
  local requirements=("$lock")
  if [[ $manager == pip ]]; then requirements=(*requirements*.txt *constraints*.txt requirements/*.txt); fi
  signature="stack ${STACK:-}; $(uname -m); python ${stack_python:-$wanted}; $manager $(versions ".$manager"); $(hash_of "${requirements[@]}")"
  restore_cache "$signature" .heroku/python
}

save_dependencies() { save_cache "$signature" .heroku/python; }

install_dependencies() {
  # What pipenv and poetry take for the environment to install into.
  export VIRTUAL_ENV=$python_home
  case $manager in
    pip)
      provide_pip
      header "Installing dependencies using pip"
      must python -m pip install --exists-action=w --src "$BUILD/.heroku/src" -r requirements.txt
      ;;
    pipenv)
      provide_manager
      header "Installing dependencies using pipenv"
      export PIPENV_IGNORE_VIRTUALENVS=0 PIPENV_VERBOSITY=-1 PIPENV_NOSPIN=1
      must "$manager_program" install --deploy
      ;;
    poetry)
      provide_manager
      header "Installing dependencies using poetry"
      export POETRY_VIRTUALENVS_CREATE=false
      must "$manager_program" sync --only main --no-interaction --compile
      ;;
    uv)
      provide_manager
      header "Installing dependencies using uv"
      export UV_PROJECT_ENVIRONMENT=$python_home UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_LINK_MODE=copy
      must "$manager_program" sync --locked --no-default-groups --compile-bytecode --no-managed-python
      ;;
  esac
}

provide_pip() {
  python -m pip --version >/dev/null 2>&1 ||
    python -m ensurepip --default-pip >/dev/null ||
    fail "This Python has no pip, and cannot install it: what it says of it stands above."
}
