# The app's gems, in vendor/bundle.

ruby_version=

gems_signature() { printf '%s' "stack ${STACK:-}; $(uname -m); ruby $ruby_version"; }

restore_gems() {
  header "Restoring cache"
  restore_cache "$(gems_signature)" vendor/bundle public/assets tmp/cache/assets
}

tidy_gems() {
  # What compilers have said; it names the folder of this build, and is of no use in a dyno.
  find vendor/bundle \( -name gem_make.out -o -name mkmf.log \) -delete
  rm -rf vendor/bundle/ruby/*/cache
}

install_gems() {
  local bundler
  bundler=$(below "BUNDLED WITH")
  # A Bundler since 2.3 becomes the one that the lock file names.
  header "Installing gems using Bundler ${bundler:-$(bundle --version | grep -oE '[0-9.]+$')}"
  must bundle install
  # Gems that the app no longer needs come out of the cache.
  must bundle clean
}
