#!/usr/bin/env bash
# Lints the database side, offline: migrations pushed by the Supabase CLI, its advisors (splinter), its lint (plpgsql_check)
# and Squawk. None of them may report an error or a warning. .squawk.toml says which of Squawk's rules are left out, and why.
#
# Needs node and npm, pip, postgresql-15-plpgsql-check. The CLI's version is pinned by supabase/tools, Squawk's here.

# shellcheck source=lib/cluster.sh
. "$(dirname "$0")/lib/cluster.sh"
SQUAWK_VERSION=2.70.0
need npm nodejs
need python3 python3

tools="$repo_root/supabase/tools"
# Not `npm ci`: it wants the CLI's builds for every other platform in the lock file, which not every registry mirror has.
[ -x "$tools/node_modules/.bin/supabase" ] ||
  npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error
squawk="$repo_root/target/squawk-$SQUAWK_VERSION"
[ -x "$squawk/bin/squawk" ] ||
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$squawk" "squawk-cli==$SQUAWK_VERSION"

cluster_start
work="$cluster_dir/work"
mkdir -p "$work/supabase"
ln -s "$repo_root/supabase/migrations" "$work/supabase/migrations"
export PGSSLMODE=disable

# cli ARGUMENT...: the Supabase CLI on the scratch database, in a folder of its own, as it writes into supabase/.
cli() { "$tools/node_modules/.bin/supabase" "$@" --remote="$url" --workdir "$work" --agent no; }

failed=0
check() {
  local name="$1"
  shift
  if "$@" >"$cluster_dir/out" 2>&1; then
    echo "ok      $name"
  else
    echo "FAILED  $name"
    cat "$cluster_dir/out"
    failed=1
  fi
}

lists_all() {
  diff <(cd "$repo_root/supabase/migrations" && ls -- *.sql | sed 's/_.*//') \
    <(psql "$url" -Atc 'select version from supabase_migrations.schema_migrations order by 1')
}
refuses() { ! "$@"; }

new_database lint
url="$(database_url lint)"
check "supabase db push applies every migration" cli db push --yes
check "schema_migrations lists every migration" lists_all
check "supabase db push again has nothing to do" cli db push --yes
check "supabase db advisors: no error, no warning" cli db advisors --level warn --fail-on warn
# The adapter's functions are made by adopting a table: linted as they are for an empty project's.
is_adopted() { [ "$(psql "$url" -Atc "select billing_ops.adapter_state() ->> 'table'")" = public.subscriptions ]; }
check "which have adopted an empty project's table" is_adopted
check "supabase db lint: no error, no warning" cli db lint --schema public,billing_ops --level warning --fail-on warning
# A live project that has the four oldest: the base migration is out of order there.
psql "$url" -q -c "delete from supabase_migrations.schema_migrations where version = '20250127000000'"
check "supabase db push refuses a migration out of order" refuses cli db push --yes
check "supabase db push --include-all takes it" cli db push --yes --include-all
check "schema_migrations lists every migration again" lists_all

# The linters must be able to object, or their silence says nothing.
psql "$url" -q -v ON_ERROR_STOP=1 -c "create table public.naked (id integer)" -c "grant select on public.naked to anon" \
  -c "create function public.broken() returns void language plpgsql as 'begin perform 1 from public.nowhere; end'"
check "advisors object to a table without row level security" refuses cli db advisors --level warn --fail-on warn
check "lint objects to a function that reads no table there is" refuses cli db lint --schema public --level warning --fail-on warning

cd "$repo_root"
export PYTHONPATH="$squawk"
check "squawk" "$squawk/bin/squawk" supabase/migrations/*.sql
echo "drop table public.users;" >"$cluster_dir/20990101000000_bad.sql"
check "squawk objects to a table that is dropped" refuses "$squawk/bin/squawk" "$cluster_dir/20990101000000_bad.sql"
exit "$failed"
