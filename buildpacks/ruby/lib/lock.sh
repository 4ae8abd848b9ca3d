# Gemfile.lock says which gems there will be, in which versions.

require_lock() {
  [[ -f Gemfile.lock ]] || fail "There is a Gemfile, but no Gemfile.lock, so the build would not be reproducible." \
    $'\nMake one and commit it: bundle lock && git add Gemfile.lock'
}

# has_gem NAME: whether a gem of this name is locked.
has_gem() { grep -q -E "^    $1 \(" Gemfile.lock 2>/dev/null; }

# below HEADING: the first line below a heading of the lock file, such as RUBY VERSION.
below() { sed -n "/^$1\$/{n;s/^[[:space:]]*//p;q}" Gemfile.lock | tr -d '\r'; }
